# syntax=docker/dockerfile:1
# The graph on one NVIDIA card, with every environment that serve_config.yaml names.
#   docker build -t parley .
#   docker run --gpus all --shm-size 2g -p 127.0.0.1:8000:8000 -e PARLEY_ALLOW_ANONYMOUS=1 \
#     -v parley-models:/models parley        (for the network, keys: docs/security.md)
FROM python:3.11-slim-bookworm AS environments
# A compiler for the few packages without a wheel; it stays in this stage.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends build-essential git make \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /parley
COPY Makefile ./
COPY requirements requirements
# pip's configuration of the build, such as another index, comes as a secret and stays out.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=cache,target=/root/.cache/pip \
  make env-gpu PYTHON=python3.11

FROM python:3.11-slim-bookworm
# vLLM compiles its kernels for the card it meets, which takes a compiler; VoXtream spells words
# with espeak-ng.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install -y --no-install-recommends espeak-ng gcc g++ libc6-dev libopus0 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 1000 ray \
  && install -d -o ray /models
WORKDIR /parley
COPY --from=environments /parley/.venv-gpu .venv-gpu
COPY --from=environments /parley/.venv-voxtream .venv-voxtream
COPY serve.env serve_config.yaml launch.py ./
COPY plans plans
COPY launcher launcher
COPY deployments deployments
COPY serve_app serve_app
# Models are fetched once, into the volume. The port is open to the container's network.
ENV PATH=/parley/.venv-gpu/bin:$PATH \
  PYTHONPATH=/parley \
  PYTHONUNBUFFERED=1 \
  HF_HOME=/models/hub \
  TORCH_HOME=/models/torch \
  NLTK_DATA=/models/nltk
USER 1000
VOLUME /models
EXPOSE 8000
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=5s --start-period=20m \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["python", "launch.py", "--host", "0.0.0.0"]
CMD ["--config", "serve_config.yaml"]
