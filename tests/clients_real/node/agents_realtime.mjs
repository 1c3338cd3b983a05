// A RealtimeSession of @openai/agents-realtime over its WebSocket transport: HOST SPEECH_DIRECTORY.
// Reports what the session tells its application, a JSON object a line.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const [host, speech] = process.argv.slice(2);
const RATE = 24_000;
const FRAME_MS = 20;
const FRAME_BYTES = (RATE * FRAME_MS * 2) / 1000;
const PATIENCE_MS = 30_000;
const HEARD_BEFORE_INTERRUPTING_MS = 1_500;

const counts = {};
let said = '';
let replyMs = 0;
let saying = Buffer.alloc(0);
const waiting = new Set();

function tell(event, fields = {}) {
  counts[event] = (counts[event] ?? 0) + 1;
  if (event === 'replied') {
    said += fields.text;
    fields.audio_ms = Math.round(replyMs);
    replyMs = 0;
  }
  console.log(JSON.stringify({ event, ...fields }));
  check();
}

function check() {
  for (const wait of waiting) {
    if (wait.reached()) {
      waiting.delete(wait);
      wait.resolve();
    }
  }
}

function until(what, reached) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`waited for ${what}, was told ${JSON.stringify(counts)}, ${said}`)),
      PATIENCE_MS,
    );
    waiting.add({ reached, resolve: () => (clearTimeout(late), resolve()) });
    check();
  });
}

const told = (event, count) => until(`${count} × ${event}`, () => (counts[event] ?? 0) >= count);
const heardSay = (text) => until(text, () => said.includes(text));
const say = (name) => {
  saying = Buffer.concat([saying, readFileSync(join(speech, `${name}.pcm`))]);
};

const weather = tool({
  name: 'get_weather',
  description: 'The weather.',
  parameters: z.object({ place: z.string() }),
  execute: async ({ place }) => {
    tell('called', { name: 'get_weather', arguments: { place } });
    return 'raining';
  },
});

const agent = new RealtimeAgent({ name: 'Parley', instructions: 'Be kind.', tools: [weather] });
const transport = new OpenAIRealtimeWebSocket({ url: `ws://${host}/v1/realtime?model=parley` });
const session = new RealtimeSession(agent, { transport, config: { audio: { input: { transcription: { model: 'whisper-1' } } } } });

const texts = new Map();
session.on('audio', ({ data }) => {
  replyMs += (data.byteLength / 2 / RATE) * 1000;
  check();
});
session.on('audio_interrupted', () => tell('interrupted'));
session.on('error', ({ error }) => tell('error', { text: JSON.stringify(error) }));
session.on('history_updated', (history) => {
  for (const item of history) {
    const text = item.type === 'message' ? item.content.map((part) => part.transcript ?? part.text ?? '').join('') : '';
    const state = `${item.status} ${text}`;
    if (!text || texts.get(item.itemId) === state) continue;
    const before = texts.get(item.itemId);
    texts.set(item.itemId, state);
    if (item.role === 'user' && !before) tell('heard', { text });
  }
});
transport.on('*', (event) => {
  if (event.type === 'response.done') {
    for (const item of event.response.output) {
      if (item.type === 'message') tell('replied', { text: item.content.map((part) => part.transcript ?? '').join('') });
    }
  }
  if (event.type === 'conversation.item.truncated') tell('truncated', { ms: event.audio_end_ms });
});
transport.on('connection_change', (status) => tell(status));

await session.connect({ apiKey: 'any' });
let due = performance.now();
let microphone;
const breathe = () => {
  const pcm = Buffer.alloc(FRAME_BYTES);
  saying.copy(pcm);
  saying = saying.subarray(FRAME_BYTES);
  session.sendAudio(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + FRAME_BYTES));
  due += FRAME_MS;
  microphone = setTimeout(breathe, Math.max(0, due - performance.now()));
};
breathe();

say('question');
await told('heard', 1);
await heardSay('It is raining.');
say('question');
await told('heard', 2);
await until('the second answer', () => replyMs >= HEARD_BEFORE_INTERRUPTING_MS);
say('interruption');
await told('interrupted', 1);
await told('heard', 3);
await heardSay('I am listening.');
clearTimeout(microphone);
session.close();
tell('closed');
