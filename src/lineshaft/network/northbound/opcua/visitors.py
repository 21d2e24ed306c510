"""Who is connected: asyncua tells who writes by role only, so we remember more."""

from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.internal_server import InternalServer
from asyncua.server.internal_session import InternalSession
from asyncua.server.user_managers import UserManager

_LONGEST = 80
_NOBODY = "an OPC UA client"
_UNKNOWN = User(role=UserRole.Anonymous)


class Visitors(UserManager):  # type: ignore[misc]  # it is untyped to us
    """Lets everyone in, and nobody change what is not a point."""

    def get_user(self, *_: object, **__: object) -> User:
        """Return who may look."""
        return User(role=UserRole.User)


class Reception(InternalServer):  # type: ignore[misc]  # it is untyped to us
    """Makes sessions that know whose they are."""

    def create_session(
        self,
        name: object,
        user: User = _UNKNOWN,
        external: bool = False,  # noqa: FBT001, FBT002  # as asyncua calls it
    ) -> InternalSession:
        """Return a session; `name` is the address of whoever asks for it."""
        return _Visit(
            self, self.aspace, self.subscription_service, name, user, external
        )


class _Visit(InternalSession):  # type: ignore[misc]  # it is untyped to us
    """A session that gives its user the name of the application and its address."""

    user: User
    _title = _NOBODY

    async def create_session(
        self,
        params: ua.CreateSessionParameters,
        sockname: tuple[str, int] | None = None,
    ) -> ua.CreateSessionResult:
        described = params.ClientDescription
        self._title = title_of(
            described.ApplicationName.Text or described.ApplicationUri,
            params.SessionName,
            self.name,
        )
        return await super().create_session(params, sockname)

    def activate_session(
        self, params: ua.ActivateSessionParameters, peer_certificate: bytes | None
    ) -> ua.ActivateSessionResult:
        result = super().activate_session(params, peer_certificate)
        self.user = User(self.user.role, self._title)
        return result


def visitor(user: object) -> str:
    """Return who a user is, like `the OPC UA client 'SCADA' at 10.0.0.5:40001`."""
    name = user.name if isinstance(user, User) else None
    return str(name or _NOBODY)


def title_of(application: str | None, session: str | None, peer: object) -> str:
    """Return who a client says that it is, and where it is.

    What it says of itself is not proved, and is cut short.
    """
    told = (application or session or "").strip()
    title = f"the OPC UA client {told[:_LONGEST]!r}" if told else _NOBODY
    if isinstance(peer, tuple) and len(peer) > 1:
        host = f"[{peer[0]}]" if ":" in str(peer[0]) else peer[0]
        title += f" at {host}:{peer[1]}"
    return title
