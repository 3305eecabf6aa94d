"""Ownership for tests of what only asks whether a server is ours."""

from typing_extensions import override

from statemachine.fleet.sole_owner import SoleOwner


class OwnsWhatever(SoleOwner):
    """Every server that is asked about."""

    @override
    def owns(self, server: str) -> bool:
        return True

    @override
    def may_submit(self, server: str) -> bool:
        return True
