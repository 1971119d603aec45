import { onTestFinished } from 'vitest';
import { type Bus, type BusOptions, connectBus } from '../../lib/bus/connection/connect.ts';
import { ZpsendError } from '../../schemas/errors.ts';

/** A connection that ends with the test. */
export async function useBus(url: string, options: Partial<BusOptions> = {}): Promise<Bus> {
  const bus = await connectBus({ name: 'test', env: { NATS_URL: url }, wait: false, ...options });
  onTestFinished(() => bus.close());
  return bus;
}

/** The coded error that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<ZpsendError> {
  const settled = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in settled && settled.error instanceof ZpsendError) return settled.error;
  throw new Error(`no coded error but ${'error' in settled ? settled.error : JSON.stringify(settled.value)}`);
}
