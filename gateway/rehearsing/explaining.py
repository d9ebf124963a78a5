"""A question of the admin API, decided as ``yett policy explain`` does: by the settings in force, in the same words."""

from collections.abc import Callable
from dataclasses import replace

from gateway.admin.question import Asker, NotAsked, Question, Told
from gateway.proxy.rehearsal import Facts, Rehearsal
from gateway.rehearsing.expected import Expected
from gateway.rehearsing.facts import Caller, request_facts, source, with_principal
from gateway.rehearsing.gate import rehearsal
from gateway.rehearsing.words import as_fields, as_tree, sentence
from gateway.settings import Settings


class Explaining:
    """``settings`` gives those in force. The gate is kept for as long as they are the same."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._kept: tuple[Settings, Rehearsal] | None = None

    def __call__(self, question: Question) -> Told:
        """What the gateway would do.

        Raises:
            NotAsked: there is no such request, with a sentence.
        """
        try:
            facts = request_facts(question.method, question.url, address=source(question.address), at=question.at)
        except ValueError as error:
            raise NotAsked(str(error)) from error
        settings, gate = self._gate()
        if question.asker is not None:
            facts = _asked_by(question.asker, facts, gate)
        found, explained = gate.explain(facts)
        rule = None if explained is None else as_tree(explained)
        wanted = question.wanted
        expected = (
            None if wanted is None else Expected(decision=wanted.decision, reason=wanted.reason, route=wanted.route)
        )
        failed = () if expected is None else tuple(expected.fails(found))
        return Told(sentence(found), as_fields(found), rule, settings.digest, failed)

    def _gate(self) -> tuple[Settings, Rehearsal]:
        settings = self._settings()
        if self._kept is None or self._kept[0] is not settings:
            self._kept = settings, rehearsal(settings)
        return self._kept


def _asked_by(asker: Asker, facts: Facts, gate: Rehearsal) -> Facts:
    if asker.refused is not None:
        return replace(facts, token_refused=asker.refused)
    caller = Caller(
        tenant=asker.tenant,
        subject=asker.subject,
        client=asker.client,
        scopes=asker.scopes,
        audiences=asker.audiences,
        acr=asker.acr,
        amr=asker.amr,
        auth_age=asker.auth_age,
        claims=asker.claims,
        api_key=asker.api_key,
    )
    return with_principal(facts, caller.principal(facts.at, gate.audiences))
