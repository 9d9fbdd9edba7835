# SPDX-License-Identifier: Apache-2.0
# Replaces node:*-trixie-slim: Node.js and npm in the same places, and packages for a build without a network.
FROM whodunit-bases/debian
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY packages /opt/packages
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV npm_config_cache=/opt/packages npm_config_offline=true
