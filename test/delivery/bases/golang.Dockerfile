# SPDX-License-Identifier: Apache-2.0
# Stands in for golang:*-trixie: Go where that has it, and modules where no proxy can be reached.
FROM whodunit-bases/debian
COPY go /usr/local/go
COPY modules /opt/modules
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GOPATH=/go GOTOOLCHAIN=local GOSUMDB=off GOPROXY=file:///opt/modules
