"""The three stages as Ray Serve deployments, and the model backends behind them."""
