"""JAX: 集団を vmap し、1 歩を jit でコンパイルする。"""

from functools import partial

import frameworks
import jax
import jax.numpy as jnp
import numpy as np
from tasks import DENSITY, LAYERS, LR, NODES, SIGMA_B, SIGMA_W, Flow, Training

from vgbook import Dataset

jax.config.update("jax_enable_x64", True)  # 勾配の流れと平均場は float64。学習は float32 のまま


def _loss(params, x, labels, norm: bool):
    log_p = jax.nn.log_softmax(frameworks.forward(jnp, params, x, norm))
    return -jnp.take_along_axis(log_p, labels[:, None], 1).mean()


@partial(jax.jit, static_argnames="norm", donate_argnums=0)
def _step(params, x, labels, norm: bool):
    gradient = jax.vmap(jax.value_and_grad(partial(_loss, norm=norm)), in_axes=(0, None, None))
    loss, grads = gradient(params, x, labels)
    return [p - LR * g for p, g in zip(params, grads, strict=True)], loss


@partial(jax.jit, static_argnames="norm")
def _again(params, x, labels, norm: bool):
    return jax.vmap(partial(_loss, norm=norm), in_axes=(0, None, None))(params, x, labels)


def train(tasks: list[Training], d: Dataset) -> list[np.ndarray]:
    results = []
    for task in tasks:
        params, losses = [jnp.asarray(p) for p in frameworks.layers(task)], []
        for rows in task.batches:
            batch = d.x_train[rows], d.labels_train[rows]
            params, loss = _step(params, *batch, task.norm)
            losses.append(_again(params, *batch, task.norm) if task.reevaluate else loss)
        results.append(np.array(losses))
    return results


@jax.jit
def _flow(weights, x, d):
    return jax.vmap(partial(frameworks.flow, jnp), in_axes=(0, None, None))(weights, x, d)


def flow(tasks: list[Flow]) -> np.ndarray:
    return np.array([_flow(t.weights, t.x, t.d_output) for t in tasks])


def _repeat(step, q):
    return jax.lax.fori_loop(0, LAYERS, lambda _, q: step(q), q)


_chi = jax.jit(partial(frameworks.chi, jnp, _repeat))


def chi() -> np.ndarray:
    return np.asarray(_chi(SIGMA_W, SIGMA_B, NODES, DENSITY))


def forget() -> None:
    """コンパイルした結果を捨てる。次の 1 回には、コンパイルの時間も入る。"""
    jax.clear_caches()
