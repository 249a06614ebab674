// The control socket of a target, and the client's side of it.

export { ControlClient } from './client.ts';
export { ControlError } from './control-error.ts';
export { Configuration } from './configuration.ts';
export { createMethods, type Method } from './methods.ts';
export { serveMetrics, type MetricsServer } from './metrics.ts';
export { ControlServer, listenUnix } from './server.ts';
