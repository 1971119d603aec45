import { runService } from '../host/life.ts';
import { receiver } from './service.ts';

process.exitCode = await runService(receiver, { env: process.env, private: false });
