"""One pjsua2 user agent as a program: settings as its argument, orders as JSON lines in, events as JSON lines out.

Started by `pjsua.py` with `python -m`. pjsua2 allows one user agent in a process and crashes in odd ways when its
objects outlive it, so it gets a process of its own which simply ends.

    orders:  {"do": "call", "uri": ...}  answer  ring  progress  reject  hold  resume  dtmf  transfer
             transfer_to_latest  hangup  quit
    events:  {"event": "registered" | "incoming" | "state" | "media" | "dtmf" | "recording" | "failed"
                       | "transfer_asked" | "transfer" | "replaced" | "redirected" | "mwi", ...}

Orders are for the latest call, unless they name another by its place in the order of calls: {"on": 0}.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj

Settings = dict[str, Any]
MEDIA_STATUS = {
    pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
    pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "local_hold",
    pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "remote_hold",
    pj.PJSUA_CALL_MEDIA_ERROR: "error",
}

TIMER = {
    "no": pj.PJSUA_SIP_TIMER_INACTIVE,
    "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
    "always": pj.PJSUA_SIP_TIMER_ALWAYS,
}
PRACK = {"no": pj.PJSUA_100REL_NOT_USED, "required": pj.PJSUA_100REL_MANDATORY}


def tell(event: str, **fields: object) -> None:
    """Write one event."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


class OneCall(pj.Call):  # type: ignore[misc]
    """A call that plays its tone and records what it hears, in a file of its own.

    A call that comes of a transfer, or that takes another's place, is first told of at the object of the call before it
    (pjsua2 cannot be given another from Python): it gets an object of its own then, which hears of all that follows.
    """

    def __init__(self, agent: UserAgent, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(agent.account, call_id)
        self._agent = agent
        self._recorder: Any = None
        self._known_as = call_id
        self._place = len(agent.calls)
        agent.calls.append(self)

    def onCallState(self, prm: Any) -> None:
        info = self.getInfo()
        self._named(info.id).tell_state(info)

    def onCallMediaState(self, prm: Any) -> None:
        info = self.getInfo()  # kept: its parts die with it
        self._named(info.id).join(info)

    def _named(self, call_id: int) -> OneCall:
        if self._known_as == pj.PJSUA_INVALID_ID:
            self._known_as = call_id
        return self if call_id == self._known_as else OneCall(self._agent, call_id)

    def tell_state(self, info: Any) -> None:
        """Tell where the call stands."""
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._recorder = None  # closes the file
        tell("state", call=self._place, state=info.stateText, code=info.lastStatusCode, reason=info.lastReason)

    def join(self, info: Any) -> None:
        """Join player and recorder to the call's audio, and tell how that is."""
        status = MEDIA_STATUS.get(info.media[0].status, "none")
        if status in ("active", "remote_hold"):
            self._join_audio()
        tell("media", call=self._place, status=status)

    def onCallTransferRequest(self, prm: Any) -> None:
        tell("transfer_asked", call=self._place, uri=prm.dstUri)

    def onCallTransferStatus(self, prm: Any) -> None:
        tell("transfer", call=self._place, code=prm.statusCode, final=prm.finalNotify)

    def onCallRedirected(self, prm: Any) -> int:
        tell("redirected", call=self._place, uri=prm.targetUri)
        return int(pj.PJSIP_REDIRECT_ACCEPT_REPLACE)

    def onCallReplaced(self, prm: Any) -> None:
        tell("replaced", call=self._place)

    def onDtmfDigit(self, prm: Any) -> None:
        tell("dtmf", call=self._place, digit=prm.digit)

    def _join_audio(self) -> None:
        audio = self.getAudioMedia(-1)
        if self._recorder is None:
            self._recorder = pj.AudioMediaRecorder()
            path = self._agent.next_recording()
            self._recorder.createRecorder(path)
            tell("recording", path=path)
        self._agent.player.startTransmit(audio)
        audio.startTransmit(self._recorder)


class Account(pj.Account):  # type: ignore[misc]
    """The registration, and where incoming calls arrive."""

    def __init__(self, agent: UserAgent) -> None:
        super().__init__()
        self._agent = agent

    def onRegState(self, prm: Any) -> None:
        tell("registered", code=prm.code, reason=prm.reason, expires=prm.expiration)

    def onIncomingCall(self, prm: Any) -> None:
        info = OneCall(self._agent, prm.callId).getInfo()
        tell("incoming", uri=info.remoteUri)

    def onMwiInfo(self, prm: Any) -> None:
        tell("mwi", state=prm.state, message=prm.rdata.wholeMsg)


class UserAgent:
    """The endpoint, its one account and its calls, in the order in which they began."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calls: list[Any] = []
        self._recordings = 0
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(self._endpoint_configuration())
        transport = self._create_transport()
        self.endpoint.libStart()
        self.endpoint.audDevManager().setNullDev()
        self._prefer_g711()
        self.player = pj.AudioMediaPlayer()
        self.player.createPlayer(settings["play"])
        self.account = Account(self)
        self.account.create(self._account_configuration(transport))

    def next_recording(self) -> str:
        self._recordings += 1
        return f"{self.settings['recordings']}-{self._recordings}.wav"

    def _endpoint_configuration(self) -> Any:
        configuration = pj.EpConfig()
        configuration.uaConfig.threadCnt = 0
        configuration.uaConfig.mainThreadOnly = True
        configuration.medConfig.clockRate = 8000
        configuration.medConfig.noVad = True
        configuration.medConfig.ecTailLen = 0
        configuration.logConfig.level = 5
        configuration.logConfig.consoleLevel = 0
        configuration.logConfig.msgLogging = 1
        configuration.logConfig.filename = self.settings["log"]
        return configuration

    def _create_transport(self) -> Any:
        configuration = pj.TransportConfig()
        configuration.boundAddress = self.settings["address"]
        configuration.port = self.settings["sip_port"]
        if self.settings["transport"] == "udp":
            return self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, configuration)
        tls = configuration.tlsConfig
        tls.CaListFile, tls.verifyServer = self.settings["trust"], True
        tls.certFile, tls.privKeyFile = self.settings["chain"], self.settings["key"]
        tls.method = pj.PJSIP_TLSV1_2_METHOD
        return self.endpoint.transportCreate(pj.PJSIP_TRANSPORT_TLS, configuration)

    def _prefer_g711(self) -> None:
        """PCMU first, PCMA second, nothing else: what the judges can decode."""
        for codec in self.endpoint.codecEnum2():
            priority = 255 if codec.codecId.startswith("PCMU/8000") else 200 if codec.codecId.startswith("PCMA") else 0
            self.endpoint.codecSetPriority(codec.codecId, priority)

    def _account_configuration(self, transport: Any) -> Any:
        told = self.settings
        configuration = pj.AccountConfig()
        configuration.idUri = f"sip:{told['user']}@{told['domain']}"
        configuration.regConfig.registrarUri = f"sip:{told['domain']}"
        configuration.regConfig.registerOnAdd = False
        configuration.regConfig.timeoutSec = told["expires"]
        configuration.regConfig.retryIntervalSec = 0
        configuration.sipConfig.transportId = transport
        configuration.sipConfig.proxies.append(told["proxy"])
        # "*": the gateway's own challenge of an inbound call may name another realm.
        configuration.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", told["user"], 0, told["password"]))
        configuration.callConfig.timerUse = TIMER[told["timer"]]
        configuration.callConfig.timerMinSESec = 90
        configuration.callConfig.timerSessExpiresSec = told["session"]
        configuration.callConfig.prackUse = PRACK[told["prack"]]
        configuration.mwiConfig.enabled = told["mwi"]
        configuration.natConfig.udpKaIntervalSec = 0
        self._set_media(configuration.mediaConfig)
        return configuration

    def _set_media(self, media: Any) -> None:
        media.transportConfig.boundAddress = self.settings["address"]
        media.transportConfig.port = self.settings["media_port"]
        media.transportConfig.portRange = 18
        media.srtpUse = self.settings["srtp"]
        media.srtpSecureSignaling = 0
        for name in self.settings["suites"]:
            crypto = pj.SrtpCrypto()
            crypto.name = name
            media.srtpOpt.cryptos.append(crypto)
        if self.settings["srtp"]:
            media.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)

    def obey(self, order: Settings) -> None:
        """Do what one line asks."""
        match order["do"]:
            case "register":
                self.account.setRegistration(True)
            case "unregister":
                self.account.setRegistration(False)
            case "call":
                OneCall(self).makeCall(order["uri"], pj.CallOpParam(True))
            case _:
                self._obey_on(self.calls[order.get("on", -1)], order)

    def _obey_on(self, call: Any, order: Settings) -> None:
        parameters = pj.CallOpParam(True)
        match order["do"]:
            case "ring" | "progress" | "answer":
                parameters.statusCode = {"ring": 180, "progress": 183, "answer": 200}[order["do"]]
                call.answer(parameters)
            case "reject":
                parameters.statusCode = order["code"]
                call.hangup(parameters)
            case "hold":
                call.setHold(parameters)
            case "resume":
                parameters.opt.flag = pj.PJSUA_CALL_UNHOLD
                call.reinvite(parameters)
            case "dtmf":
                call.dialDtmf(order["digits"])
            case "transfer":
                call.xfer(order["uri"], parameters)
            case "transfer_to_latest":
                call.xferReplaces(self.calls[-1], parameters)
            case "hangup":
                call.hangup(parameters)
            case unknown:
                tell("failed", order=unknown, error="unknown order")

    def run(self) -> None:
        """Until told to quit, or until nobody tells anything any more."""
        pending = b""
        while True:
            self.endpoint.libHandleEvents(10)
            if not select.select([0], [], [], 0)[0]:
                continue
            data = os.read(0, 65536)
            *lines, pending = (pending + data).split(b"\n")
            for order in map(json.loads, lines):
                if order["do"] == "quit":
                    return
                self._try(order)
            if not data:
                return

    def _try(self, order: Settings) -> None:
        try:
            self.obey(order)
        except pj.Error as error:
            tell("failed", order=order["do"], error=error.info())


def main() -> None:
    agent = UserAgent(json.loads(sys.argv[1]))
    tell("ready")
    agent.run()
    tell("bye")
    sys.stdout.flush()
    os._exit(0)  # libDestroy takes more than a second, and may crash on Python's leftovers


if __name__ == "__main__":
    main()
