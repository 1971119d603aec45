import { runService } from '../host/life.ts';
import { receiver } from './service.ts';

process.exit(await runService(receiver, { env: process.env, private: false }));
