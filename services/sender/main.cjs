'use strict';

// `node services/sender ARGUMENTS` is `zpsend sender ARGUMENTS`
process.argv.splice(2, 0, 'sender');
require('../../bin/start.cjs')(`${__dirname}/../../bin/zpsend`);
