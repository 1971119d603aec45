'use strict';

// `node services/receiver ARGUMENTS` is `zpsend receiver ARGUMENTS`
process.argv.splice(2, 0, 'receiver');
require('../../bin/start.cjs')(`${__dirname}/../../bin/zpsend`);
