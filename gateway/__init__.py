"""A TLS/SRTP security gateway between plain SIP phones and a VoIP provider.

Start reading at docs/architecture.md; gateway/app/gateway.py is where the parts are built and joined.
"""
