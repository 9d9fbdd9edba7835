# SPDX-License-Identifier: Apache-2.0
# Stands in for node:*-trixie-slim: Node.js and npm where that has them, and packages where no registry can be reached.
FROM whodunit-bases/debian
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
COPY packages /opt/packages
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV npm_config_cache=/opt/packages npm_config_offline=true
