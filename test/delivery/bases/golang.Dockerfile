# SPDX-License-Identifier: Apache-2.0
# Replaces golang:*-trixie: Go in the same place, and modules for a build without a network.
FROM whodunit-bases/debian
COPY go /usr/local/go
COPY modules /opt/modules
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GOPATH=/go GOTOOLCHAIN=local GOSUMDB=off GOPROXY=file:///opt/modules
