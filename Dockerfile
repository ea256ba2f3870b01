# The image: the program, the C library, the root certificates and nothing to start a shell with.
#
#   docker build -t factorio-isr .
#
# Behind a proxy with certificates of its own, name the file with them: --secret id=certificates,src=FILE.
#
# `.ci/try-image` builds and runs it. RUST_IMAGE may be any image of Debian 12 with cargo, gcc and ca-certificates: the
# program brings the C library of that image with it.
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-slim-bookworm


FROM ${RUST_IMAGE} AS build
WORKDIR /build

# The dependencies, compiled around an empty crate: a layer that stays until Cargo.toml or Cargo.lock change.
COPY Cargo.toml Cargo.lock ./
RUN --mount=type=secret,id=certificates set -eu; \
    if [ -e /run/secrets/certificates ]; then export CARGO_HTTP_CAINFO=/run/secrets/certificates; fi; \
    mkdir -p benches src tests/it; \
    for file in benches/relay.rs build.rs src/main.rs tests/it/main.rs; do echo 'fn main() {}' >"$file"; done; \
    touch src/lib.rs; \
    cargo build --locked --profile dist --bin factorio-isr

# The program. cargo goes by the times of files, and those of the checkout may be older than the empty crate's. Then the
# final root: the program, the libraries it names, the certificates, a user, and what tells scanners of vulnerabilities
# which packages those are from.
COPY . .
RUN --mount=type=secret,id=certificates set -eu; \
    if [ -e /run/secrets/certificates ]; then export CARGO_HTTP_CAINFO=/run/secrets/certificates; fi; \
    find build.rs migrations src -exec touch {} +; \
    cargo build --locked --profile dist --bin factorio-isr; \
    install -D -t /rootfs/usr/bin target/dist/factorio-isr; \
    for library in $(ldd target/dist/factorio-isr | grep -o '/[^ ]*'); do install -D "$library" "/rootfs$library"; done; \
    install -D -m 644 -t /rootfs/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt; \
    install -D -m 644 -t /rootfs/etc /etc/os-release; \
    echo 'isr:x:65532:65532:factorio-isr:/var/lib/factorio-isr:/nonexistent' >/rootfs/etc/passwd; \
    echo 'isr:x:65532:' >/rootfs/etc/group; \
    echo 'hosts: files dns' >/rootfs/etc/nsswitch.conf; \
    install -D -m 644 -t /rootfs/usr/share/doc/factorio-isr LICENSE-APACHE LICENSE-MIT; \
    mkdir -p /rootfs/var/lib/dpkg/status.d; \
    for package in ca-certificates libc6 libgcc-s1; do \
        dpkg-query -s "$package" >"/rootfs/var/lib/dpkg/status.d/$package"; \
        install -D -m 644 -t "/rootfs/usr/share/doc/$package" "/usr/share/doc/$package/copyright"; \
    done; \
    mkdir /data; \
    /rootfs/usr/bin/factorio-isr --version


FROM scratch
ARG CREATED=""
ARG REVISION=""
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="factorio-isr" \
      org.opencontainers.image.description="Relays the console logs of many Factorio servers to Discord" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

COPY --from=build /rootfs/ /
COPY --from=build --chown=65532:65532 /data/ /var/lib/factorio-isr/

# TZ is the zone of the timestamps in the logs, unless the configuration says it. The other three fit the file system
# and EXPOSE below; a variable wins over the configuration.
ENV TZ=UTC \
    ISR_CONFIG=/etc/factorio-isr/config.toml \
    ISR_DATABASE__PATH=/var/lib/factorio-isr/factorio-isr.db \
    HEALTH_CHECK_PORT=8080
EXPOSE 8080
VOLUME ["/var/lib/factorio-isr"]
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=10s --retries=3 CMD ["/usr/bin/factorio-isr", "healthcheck"]
ENTRYPOINT ["/usr/bin/factorio-isr"]
CMD ["run"]
