"""Everything that verification can find: how bad it is, what it does to training, and what ``--fix`` does about it.

What is said about AP was tried with pycocotools 2.0.11; what is said about training was read in this toolkit's loader
(``dataset.coco.load_annotations``) and in MMPose 1.3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Check:
    """A kind of mistake.

    Attributes:
        code: Short name, stable, for people and scripts to search for.
        severity: One of :data:`SEVERITIES`; errors make the exit code 1.
        title: What is wrong, for a headline.
        effect: What it would do to training or evaluation.
        counts: What is counted: ``annotations``, ``pictures``, ``keypoints`` or "" for single places.
        effect_everywhere: The effect when all of them have it, where that is another one.
        fix: What ``--fix`` does about it; "" where no repair is safe.
    """

    code: str
    severity: str
    title: str
    effect: str
    counts: str = ""
    effect_everywhere: str = ""
    fix: str = ""


_ALL = (
    # the file as a whole
    Check("no-annotations", "error", "the file has no annotations", "There is nothing to train on, and AP is -1."),
    Check(
        "no-keypoint-names",
        "error",
        "no category names its keypoints",
        "Nobody can tell which number is which keypoint; training refuses the file.",
    ),
    Check(
        "keypoint-names",
        "error",
        "keypoint names are not the skeleton's",
        "Training refuses the file; tools that go by position would learn every keypoint as another one. If these are "
        "the names you mean, name the file's own skeleton with --skeleton; else tools/convert_dataset.py converts it.",
    ),
    Check(
        "keypoint-order",
        "warning",
        "keypoints stand in another order than the skeleton's",
        "This toolkit goes by the names, but tools that go by position would learn every keypoint as another one.",
        fix="brings keypoints into the skeleton's order",
    ),
    # entries and their ids
    Check(
        "picture-entry",
        "error",
        "a picture's entry cannot be used",
        "Training refuses the file.",
        "pictures",
    ),
    Check(
        "picture-id-twice",
        "error",
        "several pictures have the same id",
        "Points of one picture would be trained on another one; training refuses the file.",
        "pictures",
        fix="keeps one of several entries that are exactly the same",
    ),
    Check(
        "picture-twice",
        "warning",
        "a picture is listed under several ids",
        "Its animals count several times, and the copies may end up in both training and validation.",
        "pictures",
    ),
    Check(
        "annotation-entry",
        "error",
        "an annotation cannot be read",
        "Training refuses the file.",
        "",
    ),
    Check(
        "annotation-id",
        "error",
        "annotations without a usable id",
        "COCO's evaluation stops, or mixes up which animal a prediction belongs to.",
        "annotations",
        fix="numbers the annotations anew",
    ),
    Check(
        "annotation-id-twice",
        "error",
        "several annotations have the same id",
        "COCO's reader keeps the last one and uses it in place of the others: AP drops for no visible reason.",
        "annotations",
        fix="numbers the annotations anew",
    ),
    Check(
        "annotation-id-zero",
        "warning",
        "an annotation has the id 0",
        "COCO's evaluation takes 0 for 'no match': the right prediction for this animal counts as wrong.",
        "annotations",
        fix="numbers the annotations anew",
    ),
    Check(
        "picture-unknown",
        "error",
        "image_id is no picture of the file",
        "These animals cannot be trained on; training refuses the file.",
        "annotations",
        "AP is -1: no annotation belongs to a picture (often id and image_id are mixed up).",
        fix="leaves these annotations out, unless that would be all of them",
    ),
    Check(
        "category-unknown",
        "error",
        "category_id is no category with keypoints",
        "These animals cannot be trained on; training refuses the file.",
        "annotations",
        "AP is -1: no annotation belongs to a category with keypoints.",
        fix="uses the file's category, where there is only one",
    ),
    # keypoints
    Check(
        "keypoint-count",
        "error",
        "wrong number of values in 'keypoints'",
        "Training refuses the file; read by position, points would land in the wrong places.",
        "annotations",
    ),
    Check(
        "coordinates",
        "error",
        "coordinates that are no finite numbers of pixels",
        "One NaN makes the loss NaN and ruins the model from that step on; training refuses the file.",
        "annotations",
        fix="sets NaN, infinite and null points to not labelled (text is left for you)",
    ),
    Check(
        "coordinates-scale",
        "error",
        "coordinates are not in pixels",
        "All points lie in the upper left corner of the pictures: the model learns nothing.",
    ),
    Check(
        "box-reading",
        "error",
        "boxes are not x, y, width, height",
        "Crops show something else than the animals, or parts of them, and OKS takes the wrong area.",
        fix="writes them as x, y, width, height",
    ),
    Check(
        "point-reading",
        "error",
        "points are not x, y in pixels of the picture",
        "Every point is elsewhere: the model learns nothing.",
    ),
    Check(
        "upper-left",
        "warning",
        "all animals lie in the upper left part of their pictures",
        "Probably labels of smaller copies of the pictures: every point is elsewhere. Look at them in the report.",
    ),
    Check(
        "set-turned",
        "warning",
        "horses do not stand on their legs throughout",
        "Pictures are turned and the points not, or x and y mean something else: every point is elsewhere. Look at "
        "them in the report.",
    ),
    Check(
        "names-exchanged",
        "error",
        "points have each other's names throughout",
        "The model learns every such point as another one. Label Studio's COCO export does this: export JSON instead.",
    ),
    Check(
        "visibility-flag",
        "warning",
        "visibility flags other than 0, 1 and 2",
        "COCO knows 0 not labelled, 1 hidden, 2 visible; other values weigh the loss or drop the point in silence.",
        "annotations",
    ),
    Check(
        "labelled-at-origin",
        "error",
        "points at exactly (0, 0) that count as labelled",
        "An export wrote 'not there' as a place: the model learns to put the point into the upper left corner.",
        "annotations",
        fix="sets these points to not labelled",
    ),
    Check(
        "outside-picture",
        "error",
        "labelled points outside the picture",
        "The model is asked for what it cannot see. Many of them mean points in percent or of another picture size.",
        "annotations",
        "Nearly all points are elsewhere than the picture shows: percent, or the size of another copy of the picture?",
        fix="sets these points to not labelled, where the animal's other points are inside",
    ),
    Check(
        "outside-box",
        "warning",
        "labelled points well outside the box",
        "The picture is cropped around the box, so the point may be cut off, and OKS judges it by too small an area.",
        "annotations",
        fix="widens the box, and the area with it",
    ),
    Check(
        "unlabelled",
        "warning",
        "annotations without any labelled keypoint",
        "They are left out of training and of AP in silence.",
        "annotations",
        "No animal has a labelled keypoint: there is nothing to train on, and AP is -1.",
    ),
    # boxes, areas, counts
    Check(
        "box",
        "error",
        "boxes missing, not four numbers, or without a size inside the picture",
        "There is nothing to crop: training refuses the file, stock MMPose drops these animals in silence.",
        "annotations",
        fix="makes the box from the labelled points, padded and clipped",
    ),
    Check(
        "box-outside-picture",
        "warning",
        "boxes that reach out of the picture",
        "The crop is larger than what can be seen of the animal, so the animal is trained smaller than it will be met.",
        "annotations",
        fix="clips the box to the picture, and the area with it",
    ),
    Check(
        "area",
        "error",
        "area missing, not positive, or next to nothing",
        "OKS divides by it: near 0 every prediction counts as wrong, negative ones are left out, without one it stops.",
        "annotations",
        "AP will be 0 or -1 whatever the model predicts: no area is usable.",
        fix="takes the area of the box",
    ),
    Check(
        "area-above-box",
        "warning",
        "area larger than its box",
        "OKS forgives more the larger the area: AP looks better than the model is.",
        "annotations",
        fix="takes the area of the box",
    ),
    Check(
        "num-keypoints-zero",
        "error",
        "num_keypoints is 0 or missing although points are labelled",
        "COCO's evaluation ignores these animals (or stops), and stock MMPose does not train on them.",
        "annotations",
        "AP will be -1: every animal counts as having no keypoint.",
        fix="counts the labelled points",
    ),
    Check(
        "num-keypoints",
        "warning",
        "num_keypoints is not the number of labelled points",
        "Harmless as long as it is not 0; a sign that points got lost on the way.",
        "annotations",
        fix="counts the labelled points",
    ),
    Check(
        "crowd",
        "warning",
        "animals marked as a crowd (iscrowd)",
        "They are left out of training, and COCO's evaluation ignores them.",
        "annotations",
        "Every animal is marked as a crowd: there is nothing to train on, and AP is -1.",
    ),
    Check(
        "annotation-twice",
        "warning",
        "the same animal is annotated twice",
        "It weighs double in training; in evaluation the copy counts as one that was missed.",
        "annotations",
        fix="keeps one of annotations that agree in every point and the box",
    ),
    Check(
        "same-points",
        "error",
        "animals with the same points, to the last digit, in several pictures",
        "All but one have another picture's labels: a track that goes on behind its end, a label file of two pictures, "
        "ids that lead to another picture. Leave the wrong ones out.",
    ),
    Check(
        "never-clicked",
        "warning",
        "keypoints at one and the same place in most animals",
        "The model learns a place in the picture instead of a part of the horse. Take them out, or click them.",
        "keypoints",
    ),
    # pictures on disk
    Check(
        "picture-path",
        "error",
        "file names that are not followed",
        "They lead out of the picture folder, to files that are none of a tool's business, or no file can be called "
        "that; training refuses them.",
        "pictures",
    ),
    Check(
        "picture-missing",
        "error",
        "pictures that are not in the picture folder",
        "Training stops when it comes to them.",
        "pictures",
        "No picture was found: is the folder right? --img-dir names another one.",
    ),
    Check(
        "picture-unreadable",
        "error",
        "pictures that cannot be read",
        "Training stops when it comes to them.",
        "pictures",
    ),
    Check(
        "picture-truncated",
        "error",
        "pictures that are cut short or damaged",
        "Training stops, or trains on a picture whose lower part is grey.",
        "pictures",
    ),
    Check(
        "picture-size-missing",
        "error",
        "width or height of a picture is missing or meaningless",
        "Stock MMPose stops, and points outside the picture cannot be found.",
        "pictures",
        fix="takes the size of the picture on disk",
    ),
    Check(
        "picture-rotated",
        "error",
        "width and height are exchanged by the EXIF rotation of the photo",
        "Labels made on the photo as it lies in the file are trained on the turned photo: every point is elsewhere.",
        "pictures",
        fix="exchanges them back, where the points show that they were made on the turned photo",
    ),
    Check(
        "picture-size",
        "error",
        "the size in the file is not that of the picture",
        "The labels were made on another copy of the picture: points and boxes are in other places.",
        "pictures",
    ),
    Check(
        "picture-spelling",
        "note",
        "pictures are spelled otherwise on the disk",
        "Case or the form of accents differs, as after a copy from a Mac or Windows. The tools here find them all the "
        "same; other programs may not.",
        "pictures",
    ),
    Check(
        "picture-unlabelled",
        "note",
        "pictures without an annotation",
        "They are not trained on. If they show horses, label them.",
        "pictures",
    ),
    # what the data set as a whole says
    Check(
        "sides-exchanged",
        "warning",
        "left and right seem exchanged throughout",
        "The model learns the wrong side everywhere, and disagrees with every other data set and pretrained head.",
    ),
    Check(
        "swap",
        "warning",
        "left and right of a part seem exchanged",
        "Two answers for the same view: the model puts both points in the middle. Look at them in the report.",
        "annotations",
    ),
    Check(
        "limb",
        "warning",
        "limbs whose length does not fit the animal",
        "Probably a point clicked in the wrong place; one of them pulls the whole limb. Look at them in the report.",
        "annotations",
    ),
    Check(
        "keypoint-never",
        "warning",
        "keypoints that are never labelled",
        "The model cannot learn them and answers at random; AP does not show it.",
        "keypoints",
    ),
    Check(
        "keypoint-rare",
        "warning",
        "keypoints that are hardly ever labelled",
        "Too few examples to learn from: expect poor accuracy on them, or label more.",
        "keypoints",
    ),
    Check(
        "not-checked",
        "note",
        "not checked",
        "Mistakes of these kinds may be there all the same: look at the pictures in the report.",
    ),
    # the same picture again
    Check(
        "content-twice",
        "warning",
        "the same picture under several names",
        "Its animals count several times, and the copies may end up in both training and validation.",
        "pictures",
    ),
    Check(
        "near-duplicates",
        "note",
        "groups of pictures that look nearly the same",
        "They teach little more than one of them; keep them in one split (tools/split_dataset.py does).",
    ),
    Check(
        "leak-picture",
        "error",
        "the same picture in both files",
        "The model is tested on what it was trained on: the score says nothing about new pictures.",
    ),
    Check(
        "leak-near-duplicate",
        "warning",
        "nearly the same picture in both files",
        "Frames of one burst or video on both sides flatter the score; tools/split_dataset.py keeps them together.",
    ),
    Check(
        "leak-augmented",
        "warning",
        "copies of one photo in both files",
        "By their names (NAME.rf.HASH, as Roboflow writes augmented copies) one was made from the other: the score is "
        "too good. tools/split_dataset.py keeps them together.",
    ),
    Check(
        "leak-group",
        "error",
        "the same group (horse, video, day) in both files",
        "The model is tested on horses or scenes it was trained on: the score is too good for new ones.",
    ),
)

#: By code, in the order in which findings are listed.
CHECKS = {check.code: check for check in _ALL}
