"""Annotated tasks for Label Studio's import, and the labelling interface that they need."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from equistera.dataset.formats.labelstudio_addresses import BUCKETS
from equistera.dataset.formats.labelstudio_regions import HIDDEN_WORDS, VISIBLE_WORDS
from equistera.dataset.formats.records import ABSENT, HIDDEN, HORSE, Picture
from equistera.skeleton import Skeleton, hex_color

#: Where Label Studio serves files of its own disk.
URL_PREFIX = "/data/local-files/?d="


def write(pictures: Sequence[Picture], url_prefix: str = URL_PREFIX) -> list[dict]:
    """Makes annotated tasks for Label Studio's import.

    Args:
        pictures: Pictures with known size and pixel coordinates.
        url_prefix: What stands before a picture's name in the task. Behind that of a web address the name is quoted.

    Returns:
        The tasks: a rectangle for each animal, its points as children, hidden points with the choice ``hidden``.
    """
    tasks = []
    for picture_number, picture in enumerate(pictures, 1):
        width, height = picture.size
        place = {"original_width": width, "original_height": height, "image_rotation": 0, "to_name": "image"}
        result: list[dict] = []
        for animal_number, animal in enumerate(picture.animals):
            # ids only have to be unique inside a task
            animal_id = f"horse{animal_number}"
            x, y, w, h = animal.box
            box = {"x": x / width * 100, "y": y / height * 100, "width": w / width * 100, "height": h / height * 100}
            value = {**box, "rotation": 0, "rectanglelabels": [animal.category]}
            result.append({"id": animal_id, "type": "rectanglelabels", "from_name": "box", "value": value, **place})
            for name, (px, py, visibility) in animal.points.items():
                if visibility == ABSENT:
                    continue
                point = {"x": px / width * 100, "y": py / height * 100, "width": 0.5}
                shared = {"id": f"{animal_id}_{name}", "parentID": animal_id, **place}
                label = {"type": "keypointlabels", "from_name": "keypoint"}
                result.append({**shared, **label, "value": {**point, "keypointlabels": [name]}})
                if visibility == HIDDEN:
                    choice = {"type": "choices", "from_name": "visibility"}
                    result.append({**shared, **choice, "value": {**point, "choices": [HIDDEN_WORDS[0]]}})
        # a bucket's keys are no web addresses: Label Studio takes them as they stand
        name = picture.names[0] if url_prefix.startswith(BUCKETS) else quote(picture.names[0])
        data = {"image": url_prefix + name}
        tasks.append({"id": picture_number, "data": data, "annotations": [{"result": result}]})
    return tasks


def labelling_config(skeleton: Skeleton, category: str = HORSE) -> str:
    """The labelling interface that :func:`write`'s tasks need (Settings, Labeling Interface, Code).

    Args:
        skeleton: Its points become labels, in their colours, with what to click on as the hint.
        category: Label of the animal's rectangle.
    """
    labels = "\n".join(
        f"    <Label value={quoteattr(point.name)} background={quoteattr(hex_color(point.color))}"
        + f" hint={quoteattr(point.description)}" * bool(point.description)
        + "/>"
        for point in skeleton.keypoints
    )
    return f"""<View>
  <Header value="Draw a rectangle for each animal; drag its points under it in the list of regions."/>
  <Image name="image" value="$image" zoom="true" zoomControl="true" rotateControl="false"/>
  <RectangleLabels name="box" toName="image">
    <Label value={quoteattr(category)}/>
  </RectangleLabels>
  <KeyPointLabels name="keypoint" toName="image">
{labels}
  </KeyPointLabels>
  <Choices name="visibility" toName="image" perRegion="true" whenTagName="keypoint">
    <Choice value="{VISIBLE_WORDS[0]}"/>
    <Choice value="{HIDDEN_WORDS[0]}"/>
  </Choices>
</View>
"""
