"""Lists by every filter and in every order, and bulk actions, against the model's jobs."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from engine.actions import CANCEL, DELETE, PROMOTE, RETRY
from engine.inspection import BY_STATE, CREATED, CREATED_DESC
from engine.jobs import JobQuery, JobRecord, State
from tests.engine.conftest import QUEUE
from tests.engine.model.jobs import ADMITS, OWNERS, JobsMachine, ModelJob

ACTIONS = {"cancel": CANCEL, "retry": RETRY, "promote": PROMOTE, "delete": DELETE}

any_states = st.frozensets(st.sampled_from(list(State)))


class ListsMachine(JobsMachine):
    def drawn(self, data: st.DataObject) -> JobQuery:
        """A filter, whose bounds in time are those of jobs, or a millisecond beside."""
        moments = st.none() | st.sampled_from(sorted({one.created for one in self.jobs.values()}) or [1])
        after, before = data.draw(moments), data.draw(moments)
        return JobQuery(
            data.draw(any_states),
            type=data.draw(st.sampled_from(["", "noop", "script"])),
            owner=data.draw(st.sampled_from(OWNERS)),
            created_after=(after or 0) + data.draw(st.integers(0, 1)) if after else 0,
            created_before=before + data.draw(st.integers(0, 1)) if before else None,
            text=data.draw(st.sampled_from(["", "needle"])),
        )

    def matching(self, query: JobQuery) -> list[ModelJob]:
        """In the order of creation."""
        found = [
            one
            for one in self.jobs.values()
            if (not query.states or one.state in query.states)
            and query.type in {"", one.type}
            and query.owner in {"", one.owner}
            and one.created >= query.created_after
            and (query.created_before is None or one.created < query.created_before)
            and query.text in one.text
        ]
        return sorted(found, key=lambda one: (one.created, one.id.encode()))

    @rule(data=st.data(), order=st.sampled_from(["", CREATED, CREATED_DESC]), size=st.integers(1, 4))
    def list_in_order_of_creation(self, data: st.DataObject, order: str, size: int) -> None:
        query = self.drawn(data)
        expected = [one.id for one in self.matching(query)]
        if order != CREATED:
            expected.reverse()
        assert [one.id for one in self._pages(query, order, size)] == expected

    @rule(data=st.data(), state=st.sampled_from(list(State)), size=st.integers(1, 4))
    def list_in_the_order_of_a_state(self, data: st.DataObject, state: State, size: int) -> None:
        query = JobQuery(frozenset({state}), owner=data.draw(st.sampled_from(OWNERS)))
        found = self._pages(query, BY_STATE, size)
        expected = self.matching(query)
        match state:
            case State.WAITING:
                expected.sort(key=lambda one: one.place)
            case State.DELAYED:
                due = {one.id: one.ready for one in found}
                assert list(due.values()) == sorted(due.values())
                expected.sort(key=lambda one: list(due).index(one.id))
            case State.ACTIVE:
                expected.reverse()
            case _:
                expected.sort(key=lambda one: -one.ended)
        assert [one.id for one in found] == [one.id for one in expected]

    def _pages(self, query: JobQuery, order: str, size: int) -> list[JobRecord]:
        async def walk() -> list[JobRecord]:
            found: list[JobRecord] = []
            token = ""
            while True:
                page = await self.engine.inspection.page(QUEUE, query, order, size, token)
                assert len(page.jobs) <= size
                found += page.jobs
                if not (token := page.next_token):
                    return found

        records: list[JobRecord] = self.run(walk())
        return records

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), action=st.sampled_from(list(ACTIONS)), validate_only=st.booleans())
    def change_those_that_match(self, data: st.DataObject, action: str, validate_only: bool) -> None:
        query = self.drawn(data)
        admitted = [one.id for one in self.matching(query) if one.state in ADMITS[action]]
        result = self._bulk(action, query, validate_only)
        assert (result.matched, result.failures, result.next_token) == (len(admitted), [], "")
        self._apply(action, admitted, result.changed, validate_only)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), action=st.sampled_from(list(ACTIONS)), validate_only=st.booleans())
    def change_those_that_are_named(self, data: st.DataObject, action: str, validate_only: bool) -> None:
        names = data.draw(
            st.lists(st.sampled_from([*sorted(self.jobs), "nobody"]), min_size=1, max_size=5, unique=True)
        )
        admitted = [name for name in names if name in self.jobs and self.jobs[name].state in ADMITS[action]]
        result = self._bulk(action, names, validate_only)
        assert [name for name, _ in result.failures] == [name for name in names if name not in admitted]
        self._apply(action, admitted, result.changed, validate_only)

    def _bulk(self, action: str, which: JobQuery | list[str], validate_only: bool) -> Any:
        return self.run(self.engine.steering.change_many(ACTIONS[action], QUEUE, which, validate_only=validate_only))

    def _apply(self, action: str, names: list[str], changed: int, validate_only: bool) -> None:
        assert changed == (0 if validate_only else len(names))
        if not validate_only:
            for name in names:
                self.changed(action, name)
