"""From a photo to an animal's points with an exported network: needs numpy, opencv-python-headless and onnxruntime.

python examples/predict_onnx.py horse.onnx photo.jpg                 # the whole photo is taken as the animal's box
python examples/predict_onnx.py horse.onnx photo.jpg 310 120 640 480 # x, y, width, height of its box
"""

import json
import sys

import cv2
import numpy as np
import onnxruntime


def load(path):
    """The network, and what its file says of itself."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    return session, {name: json.loads(said[name]) for name in ("codec", "padding", "skeleton")}


def crop(image, box, about):
    """The input for a box (x, y, width, height) of a picture, and the map from its pixels to the picture's."""
    size, (x, y, width, height) = np.array(about["codec"]["input_size"]), box
    across = size - (about["codec"]["type"] == "UDPHeatmap")
    view = max(about["padding"] * np.array([width, height]) / size) * size
    zoom, centre = across / view, np.array([x + width / 2, y + height / 2])
    matrix = np.column_stack([np.diag(zoom), across / 2 - zoom * centre])
    # the part around the view, which becomes smaller by averages: first of whole blocks, as a JPEG's decoder makes them
    density, limit = min(1, max(size / view)), image.shape[1::-1]
    block = next(block for block in (8, 4, 2, 1) if block * density <= 1)
    room = view / 2 + 6 / density
    low = np.clip(np.floor(centre - room), 0, np.subtract(limit, 1)).astype(int) // block * block
    high = -(-np.clip(np.ceil(centre + room), low + 1, limit).astype(int) // block) * block
    part = image[low[1] : high[1], low[0] : high[0]]
    part = np.pad(part, [(0, high[1] - low[1] - len(part)), (0, high[0] - low[0] - part.shape[1]), (0, 0)], "edge")
    for to in ((high - low) // block, np.ceil(np.round((high - low) * density, 6)).astype(int)):
        part = cv2.resize(part, to, interpolation=cv2.INTER_AREA)
    scale = (high - low) / part.shape[1::-1]
    from_part = np.vstack([np.column_stack([np.diag(scale), low + (scale - 1) / 2]), [0, 0, 1]])
    return cv2.warpAffine(part, matrix @ from_part, size.tolist()), cv2.invertAffineTransform(matrix)


def predict(network, image, box=None):
    """Points [K, 2] in pixels of an RGB picture, and how probably each is right."""
    session, about = network
    inputs, to_picture = crop(image, box or (0, 0, *image.shape[1::-1]), about)
    points, confidence = session.run(["points", "confidence"], {"crops": inputs[None]})
    return points[0] @ to_picture[:, :2].T + to_picture[:, 2], confidence[0]


if __name__ == "__main__":
    network, photo = (load(sys.argv[1]), cv2.imread(sys.argv[2])) if len(sys.argv) in (3, 7) else sys.exit(__doc__)
    size = (0, 0) if photo is None else photo.shape[1::-1]
    box = [float(word) for word in sys.argv[3:]] or [0, 0, *size]
    if not (min(box[2:]) > 0 and -box[2] < box[0] < size[0] and -box[3] < box[1] < size[1]):
        sys.exit(f"error: {sys.argv[2]} cannot be read, or nothing of it lies in the box {box}")
    names = [keypoint["name"] for keypoint in network[1]["skeleton"]["content"]["keypoints"]]
    for name, (x, y), sure in zip(names, *predict(network, photo[..., ::-1], box), strict=True):
        print(f"{name:20} {x:8.1f} {y:8.1f}  {sure:.2f}")
