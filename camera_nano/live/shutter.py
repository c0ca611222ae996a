"""The shutter: which frame a press is of, which fields its looks have, and which frames they are merged from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from camera_nano.live.album import Album
from camera_nano.live.companions import N_FRAMES, Companions, Progress, is_dark
from camera_nano.live.moments import Moments
from camera_nano.live.proposals import Proposal, Proposals
from camera_nano.live.ring import FrameRing, release
from camera_nano.live.shot import Shot
from camera_nano.recipe import Recipe
from camera_nano.values import Frame


class Shutter:
    """Takes frames from the ring and fields from the proposals, and gives them to the album."""

    def __init__(
        self, ring: FrameRing, proposals: Proposals, album: Album, *, n_steps: int, model: str, night: bool
    ) -> None:
        """Files name `model` and `n_steps` for their looks; with `night`, those of the dark are of several frames."""
        self._ring, self._proposals, self._album = ring, proposals, album
        self._n_steps, self._model, self._night = n_steps, model, night
        self._moments = Moments()

    def press(
        self,
        frame_id: int,
        proposal_id: int | None,
        looks: Sequence[str],
        strength: float = 1.0,
        aspect: str = "",
        progress: Progress = lambda n, n_wanted: None,
    ) -> Future[Shot]:
        """Press the shutter: save the original of a frame, and looks of it made by a proposal's fields.

        Frame and fields are taken at once; the files are written in the order of the presses. The frames around the
        shot stay in `moments` for some seconds, and `frame_id` may name one of those. Where the frame is gone it is the
        nearest one; where either is gone, or without `proposal_id`, the fields are those nearest to the frame: fields
        of another time would clip it. Looks are cut to `aspect`, one of `recipe.ASPECTS`; the original stays whole.

        Where it is dark the looks are made of several frames, some of which may still have to come; `progress` is told
        of them, from another thread.

        Raises:
            LookupError: no frame has come yet, or the proposal has no field for a look.
            OSError: the disk is full, and no more shots may wait in memory.
        """
        around = {frame.id: frame for frame in (*self.moments(), *self._ring.frames())}
        frame = self._frame(frame_id, around)
        is_exact = frame.id == frame_id and proposal_id is not None
        proposal = (self._proposals.get(proposal_id) if is_exact else None) or self._proposals.nearest(frame.id)
        fields = proposal.fields if proposal else {}
        missing = [name for name in looks if name not in fields]
        if missing:
            release([frame])
            raise LookupError(f"no {', '.join(missing)} alternative yet: wait for it, or shoot the original")
        self._moments.keep(around, frame.id)
        recipes = self._recipes(proposal, looks, strength, aspect) if proposal else {}
        companions = self._companions(frame, proposal, strength, around) if looks and strength else None
        scaled = {name: fields[name] * strength for name in looks}
        shot_id = frame.id  # the shot's callback holds no frame
        try:
            saved = self._album.take(frame, scaled, recipes, companions, progress)
        except OSError:
            self._moments.saved(shot_id, {})
            raise
        saved.add_done_callback(
            lambda _: self._moments.saved(shot_id, {later.id: later for later in self._ring.frames()})
        )
        return saved

    def moments(self) -> list[Frame]:
        """The frames just before and after the last shot, oldest first, until five seconds after it."""
        return self._moments.frames()

    def _recipes(self, proposal: Proposal, looks: Sequence[str], strength: float, aspect: str) -> dict[str, Recipe]:
        return {
            name: Recipe(
                proposal.looks[name], strength, self._n_steps, "ultrahdr", self._model,
                seed=proposal.seeds[name], is_live=True, assume=proposal.assume, aspect=aspect,
            )
            for name in looks
        }  # fmt: skip

    def _companions(
        self, frame: Frame, proposal: Proposal | None, strength: float, around: Mapping[int, Frame]
    ) -> Companions | None:
        """What a shot of this frame is merged with; None where one frame is enough."""
        merged_ev = proposal.merged_ev if proposal else None
        is_night = self._night and is_dark(frame)
        if merged_ev is None and not is_night:
            return None
        beside, n_more = self._ring.brackets(frame.t_ns) if merged_ev is not None else [], 0
        if is_night:
            n_near = N_FRAMES - 1 - len(beside)
            if frame.id in {kept.id for kept in self._ring.frames()}:
                near = self._ring.around(frame, n_near)
                n_more = n_near - len(near)
            else:  # a moment that has passed
                others = sorted(around, key=lambda frame_id: abs(frame_id - frame.id))
                near = [around[frame_id] for frame_id in others if frame_id != frame.id][:n_near]
            beside += near
        return Companions(self._ring, beside, n_more, (merged_ev or 0.0) * strength, want_raw=is_night)

    def _frame(self, frame_id: int, around: Mapping[int, Frame]) -> Frame:
        """The frame from the ring, with the camera's buffers; else from `around`; else the ring's nearest one."""
        frame = self._ring.get(frame_id)
        if frame.id != frame_id and frame_id in around:
            release([frame])
            return around[frame_id]
        return frame
