"""The HTTP door: `medpost run gateway`. One file per concern; `role` starts it, `app` puts it together."""
