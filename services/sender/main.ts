import { runService } from '../host/life.ts';
import { sender } from './service.ts';

process.exitCode = await runService(sender(false), { env: process.env, private: false });
