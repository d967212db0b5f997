// SPDX-License-Identifier: GPL-3.0-or-later
// The cloud's own client libraries, driven line by line: a call as JSON comes in, its answer, or the library's exception, goes out.
'use strict';

const readline = require('readline');
const {RPCClient} = require('@alicloud/pop-core');
const OpenApi = require('@alicloud/openapi-client');
const {RuntimeOptions} = require('@alicloud/tea-util');

const [endpoint, accessKeyId, accessKeySecret] = process.argv.slice(2);
const VERSION = '2017-08-01';

function openApi(config) {
  return new OpenApi.default(new OpenApi.Config({
    accessKeyId, accessKeySecret, endpoint, protocol: 'HTTP', regionId: 'local', ...config}));
}

const pop = new RPCClient({accessKeyId, accessKeySecret, endpoint: `http://${endpoint}`, apiVersion: VERSION});
const acs3 = openApi({});
const rpc = openApi({signatureAlgorithm: 'v2'});

function callOpenApi(client, call) {
  const params = new OpenApi.Params({
    action: call.action, version: VERSION, protocol: 'HTTP', pathname: '/', method: call.method, authType: 'AK',
    style: 'RPC', reqBodyType: 'formData', bodyType: 'json'});
  const request = new OpenApi.OpenApiRequest({[call.in]: call.params});
  return client.callApi(params, request, new RuntimeOptions({autoretry: false})).then((answer) => answer.body);
}

function run(call) {
  if (call.client === 'pop')
    return pop.request(call.action, call.params, {method: call.method});
  return callOpenApi(call.client === 'acs3' ? acs3 : rpc, call);
}

function describe(error) {
  return {
    name: error.name, code: error.code, message: error.message,
    status: error.statusCode || (error.data && error.data.statusCode), data: error.data};
}

(async () => {
  for await (const line of readline.createInterface({input: process.stdin})) {
    let answer;
    try {
      answer = {ok: await run(JSON.parse(line))};
    } catch (error) {
      answer = {error: describe(error)};
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
})();
