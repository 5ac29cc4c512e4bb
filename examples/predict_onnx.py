"""From a photo to an animal's points with an exported network: needs numpy, opencv-python-headless and onnxruntime.

python examples/predict_onnx.py horse.onnx photo.jpg                 # the whole photo is taken as the animal's box
python examples/predict_onnx.py horse.onnx photo.jpg 310 120 640 480 # x, y, width, height of its box
"""

import json
import math
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
    zoom = across / view
    matrix = np.column_stack([np.diag(zoom), across / 2 - zoom * (x + width / 2, y + height / 2)])
    to_input, to_picture = matrix, cv2.invertAffineTransform(matrix)
    if (share := max(size / view)) < 1:
        # a picture that becomes smaller is averaged, not sampled
        before = np.array(image.shape[1::-1])
        image = cv2.resize(image, [math.ceil(side * share) for side in before], interpolation=cv2.INTER_AREA)
        scale = before / image.shape[1::-1]
        to_input = matrix @ np.vstack([np.column_stack([np.diag(scale), (scale - 1) / 2]), [0, 0, 1]])
    return cv2.warpAffine(image, to_input, tuple(size.tolist()), flags=cv2.INTER_LINEAR), to_picture


def predict(network, image, box=None):
    """Points [K, 2] in pixels of an RGB picture, and how probably each is right."""
    session, about = network
    height, width = image.shape[:2]
    inputs, to_picture = crop(image, box or (0, 0, width, height), about)
    points, confidence = session.run(["points", "confidence"], {"crops": inputs[None]})
    return points[0] @ to_picture[:, :2].T + to_picture[:, 2], confidence[0]


if __name__ == "__main__":
    network, photo = load(sys.argv[1]), cv2.imread(sys.argv[2])
    points, confidence = predict(network, photo[..., ::-1], [float(word) for word in sys.argv[3:7]])
    for keypoint, (x, y), sure in zip(network[1]["skeleton"]["content"]["keypoints"], points, confidence, strict=True):
        print(f"{keypoint['name']:20} {x:8.1f} {y:8.1f}  {sure:.2f}")
