"""Makes `twist gateway` known to Twisted."""

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from zope.interface import implementer

from gateway.app.options import Options, make_service


@implementer(IPlugin, IServiceMaker)
class GatewayServiceMaker:
    """How twist finds the gateway's options and makes its service."""

    tapname = "gateway"
    description = "A TLS/SRTP security gateway between plain SIP phones and a VoIP provider."
    options = Options
    makeService = staticmethod(make_service)


gateway = GatewayServiceMaker()
