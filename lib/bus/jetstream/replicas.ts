import { JetStreamApiError } from '@nats-io/jetstream';

/**
 * Makes a stream with three copies, or as many as are wished, so that one server of a cluster may be down, or where there is no such cluster with one: a
 * server alone refuses three (10074 on 2.15.1), and so do two (10005).
 */
export async function withReplicas<T>(make: (replicas: number) => Promise<T>, wished = 3): Promise<T> {
  try {
    return await make(wished);
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || wished === 1) throw error;
    return make(1);
  }
}
