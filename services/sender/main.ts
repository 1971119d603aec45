import { runService } from '../host/life.ts';
import { sender } from './service.ts';

process.exit(await runService(sender(false), { env: process.env, private: false }));
