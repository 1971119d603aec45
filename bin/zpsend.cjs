#!/usr/bin/env node
'use strict';

require('./start.cjs')(`${__dirname}/zpsend`);
