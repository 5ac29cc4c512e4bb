import numpy as np
import pytest

from equistera.synthetic import mesh as meshes
from equistera.synthetic.camera import Camera, look_at
from equistera.synthetic.mesh import Mesh, join, tubes
from equistera.synthetic.renderer import rasterize, silhouette

CAMERA = Camera(np.zeros(3), np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]]), 100.0, 40, 30, (19.5, 14.5))


def triangle(*corners) -> Mesh:
    vertices = np.array(corners, float)
    return Mesh(vertices, vertices, vertices[:, :2], np.zeros(3, int), np.array([[0, 1, 2]]))


def ball(center, radius, rows=40, sides=40) -> Mesh:
    latitude = np.linspace(0.001, np.pi - 0.001, rows)[:, None]
    longitude = 2 * np.pi * np.arange(sides) / sides
    grid = np.stack(
        [np.sin(latitude) * np.cos(longitude), np.sin(latitude) * np.sin(longitude), np.cos(latitude) + 0 * longitude],
        axis=-1,
    )
    return tubes((center + radius * grid)[None], 0)


def test_camera_projects_left_to_the_left_and_up_to_the_top():
    pixels, depth = CAMERA.project(np.array([[10.0, 0, 0], [10, 1, 0], [10, 0, 1], [-5, 0, 0]]))
    np.testing.assert_allclose(pixels[:3], [[19.5, 14.5], [9.5, 14.5], [19.5, 4.5]])
    np.testing.assert_allclose(depth, [10, 10, 10, -5])


def test_rays_and_projection_agree():
    camera = look_at(np.array([3.0, -4, 1.5]), np.array([0.2, 0.1, 1.0]), 0.1, 321.0, (64, 48), (30.0, 20.0))
    rays = camera.rays()
    points = camera.position + 7.0 * rays[[5, 40], [9, 60]]
    pixels, depth = camera.project(points)
    np.testing.assert_allclose(pixels, [[9, 5], [60, 40]], atol=1e-3)
    np.testing.assert_allclose(depth, 7.0, atol=1e-5)


def test_scaled_camera_sees_the_same():
    camera = look_at(np.array([5.0, 0, 1]), np.zeros(3), 0.0, 100.0, (40, 30))
    point = np.array([0.3, 0.2, 0.1])
    one, two = camera.project(point)[0], camera.scaled(0.5).project(point)[0]
    np.testing.assert_allclose((one + 0.5) / 2 - 0.5, two)


@pytest.mark.parametrize("seed", range(8))
def test_triangle_covers_what_a_test_of_every_pixel_says(seed):
    rng = np.random.default_rng(seed)
    corners = np.column_stack([np.full(3, 10.0), rng.uniform(-3, 3, 3), rng.uniform(-2, 2, 3)])
    pixels, _ = CAMERA.project(corners)
    (ax, ay), (bx, by), (cx, cy) = pixels
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    sides = [
        (qx - px) * (y - py) - (qy - py) * (x - px)
        for (px, py), (qx, qy) in (((ax, ay), (bx, by)), ((bx, by), (cx, cy)), ((cx, cy), (ax, ay)))
    ]
    inside = np.all(np.array(sides) > 0, axis=0) | np.all(np.array(sides) < 0, axis=0)
    assert np.array_equal(silhouette(pixels, np.array([[0, 1, 2]]), (40, 30)), inside)
    shown = [rasterize(triangle(*order), CAMERA).pixel for order in (corners, corners[::-1])]
    # one of the two orders turns its back
    assert sorted(len(pixel) for pixel in shown) == [0, inside.sum()]


def test_attributes_are_interpolated_in_perspective():
    corners = np.array([[5.0, 0.9, -0.6], [20, 0, 3.0], [10, -1.8, -1.2]])
    for order in (corners, corners[::-1]):
        fragments = rasterize(triangle(*order), CAMERA)
        if len(fragments.pixel):
            found = fragments.of(order)
            pixels, depth = CAMERA.project(found)
            np.testing.assert_allclose(depth, fragments.depth, rtol=1e-6)
            rows, columns = np.divmod(fragments.pixel, 40)
            np.testing.assert_allclose(pixels, np.column_stack([columns, rows]), atol=1e-6)
            return
    pytest.fail("neither order of the corners was drawn")


def test_the_nearer_ball_hides_the_farther_whatever_the_order():
    near, far = ball(np.array([8.0, 0.2, 0]), 0.5), ball(np.array([12.0, 0, 0]), 1.0)
    for both in (join([near, far]), join([far, near])):
        fragments = rasterize(both, CAMERA)
        middle = np.flatnonzero(fragments.pixel == 14 * 40 + 17)[0]
        assert fragments.depth[middle] < 8.0
        assert fragments.depth.max() > 11.0


def test_a_closed_surface_has_no_holes():
    fragments = rasterize(ball(np.array([6.0, 0, 0]), 0.7), CAMERA)
    covered = np.zeros(30 * 40, bool)
    covered[fragments.pixel] = True
    for row in covered.reshape(30, 40):
        columns = np.flatnonzero(row)
        if len(columns):
            assert row[columns[0] : columns[-1] + 1].all()
    assert covered.sum() == pytest.approx(np.pi * (100 * 0.7 / 6) ** 2, rel=0.06)


def test_what_is_behind_the_camera_is_not_drawn():
    assert len(rasterize(ball(np.array([-6.0, 0, 0]), 0.7), CAMERA).pixel) == 0
    assert len(rasterize(ball(np.zeros(3), 0.1), CAMERA).pixel) == 0


def test_mirrored_tubes_show_their_outside_too():
    one = ball(np.array([6.0, 0, 0]), 0.5)
    flipped = tubes((one.vertices.reshape(1, 40, 40, 3) * [1, -1, 1]), 0)
    for surface in (one, flipped):
        fragments = rasterize(surface, CAMERA)
        assert fragments.depth.min() == pytest.approx(5.5, abs=0.01)
        assert (surface.normals[:, 0] * (surface.vertices[:, 0] - 6) >= -1e-6).all()


def test_moved_turns_normals_with_vertices():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    moved = ball(np.zeros(3), 1.0).moved(turn, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(moved.vertices.mean(axis=0), [1, 2, 3], atol=1e-2)
    assert np.einsum("vk,vk->v", moved.normals, moved.vertices - [1, 2, 3]).mean() > 0.95


def test_join_keeps_faces_with_their_vertices():
    both = meshes.join([triangle([0, 0, 0], [1, 0, 0], [0, 1, 0]), triangle([5, 5, 5], [6, 5, 5], [5, 6, 5])])
    assert both.vertices[both.faces[1]].min() == 5
