# rtpengine as the gateway's media relay, from Debian's packages: for machines where one media process a core is not enough.
#
#   docker build --file deploy/rtpengine.Dockerfile --tag sip-security-gateway-rtpengine .
#
# The gateway asks at 127.0.0.1:2223; nobody else may, since whoever asks can hear. Packets go through the process itself: the
# kernel's part of rtpengine needs a module of the host's and a capability.

FROM debian:trixie-slim
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends rtpengine-daemon \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 5061 --no-create-home --shell /usr/sbin/nologin media
USER media
EXPOSE 30000-39999/udp
ENTRYPOINT ["rtpengine", "--foreground", "--log-stderr", "--table=-1", "--listen-ng=127.0.0.1:2223"]
CMD ["--interface=127.0.0.1", "--port-min=30000", "--port-max=39999"]
