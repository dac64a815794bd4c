"""What a decoder needs for a frame: the rules of groups of pictures, followed one packet at a time."""

from collections.abc import Collection

from framekit.sources.timeline import Timeline


def needed_packets(timeline: Timeline, wanted: Collection[int]) -> set[int]:
    """Places in the stream of the packets that the frames `wanted` and all that they may build on come from.

    A picture builds on referenced ones before it in the stream, back to the keyframe of its group. A leading
    one also builds on the group before, as far as that goes. Only leading pictures build on leading ones.
    """
    shown = sorted(range(timeline.frames), key=lambda place: timeline.pts[place])
    places = {shown[number] for number in wanted}
    return places.union(*(_built_on(timeline, place) for place in places))


def _built_on(timeline: Timeline, place: int) -> set[int]:
    leading, keyframes = timeline.leading[place], 0
    found = set()
    while keyframes < (2 if leading else 1) and place >= 0:
        in_own_group = leading and keyframes == 0
        if timeline.referenced[place] and (in_own_group or not timeline.leading[place]):
            found.add(place)
        keyframes += int(timeline.restarts[place])
        place -= 1
    return found
