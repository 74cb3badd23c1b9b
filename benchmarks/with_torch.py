"""PyTorch: ふつうに 1 つずつ (eager) と、集団を torch.func.vmap で。"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import frameworks
import numpy as np
import torch
from tasks import DENSITY, EPS, LAYERS, LR, NODES, SIGMA_B, SIGMA_W, Flow, Training

from vgbook import Dataset

THREADS = os.cpu_count() or 1


def train_eager(tasks: list[Training], d: Dataset) -> list[np.ndarray]:
    """nn.Module を 1 つずつ。CPU の数だけのスレッドで、1 つずつ学習させる。"""
    torch.set_num_threads(1)  # 小さな行列積を 2 スレッドに割ると、かえって遅い
    pairs = [(task, e) for task in tasks for e in range(task.members)]
    with ThreadPoolExecutor(THREADS) as pool:
        losses = iter(list(pool.map(lambda pair: _train_one(pair[0], pair[1], d), pairs)))
    return [np.array([next(losses) for _ in range(task.members)]).T for task in tasks]


def _train_one(task: Training, e: int, d: Dataset) -> list[float]:
    x, labels = torch.from_numpy(d.x_train), torch.from_numpy(d.labels_train)
    model = _model(task, e)
    optimizer = torch.optim.SGD(model.parameters(), LR)
    losses = []
    for rows in torch.from_numpy(task.batches):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
        loss.backward()
        optimizer.step()
        if task.reevaluate:
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(model(x[rows]), labels[rows])
        losses.append(loss.item())
    return losses


def _model(task: Training, e: int) -> torch.nn.Module:
    modules: list[torch.nn.Module] = []
    for W in task.member(e):
        linear = torch.nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T))
            linear.bias.zero_()
        modules.append(linear)
        if task.norm:
            modules.append(torch.nn.BatchNorm1d(W.shape[-1], eps=EPS))
        modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules[: -2 if task.norm else -1])


def _loss(params, x, labels, norm: bool):
    y = frameworks.forward(torch, params, x, norm)
    return torch.nn.functional.cross_entropy(y, labels)


def train_vmap(tasks: list[Training], d: Dataset) -> list[np.ndarray]:
    torch.set_num_threads(THREADS)
    x, labels = torch.from_numpy(d.x_train), torch.from_numpy(d.labels_train)
    results = []
    for task in tasks:
        params = [torch.tensor(p) for p in frameworks.layers(task)]
        loss_of = partial(_loss, norm=task.norm)
        gradient = torch.func.vmap(torch.func.grad_and_value(loss_of), in_dims=(0, None, None))
        again = torch.func.vmap(loss_of, in_dims=(0, None, None))
        losses = []
        with torch.no_grad():
            for rows in torch.from_numpy(task.batches):
                grads, loss = gradient(params, x[rows], labels[rows])
                for param, grad in zip(params, grads, strict=True):
                    param -= LR * grad
                if task.reevaluate:
                    loss = again(params, x[rows], labels[rows])
                losses.append(loss.numpy())
        results.append(np.array(losses))
    return results


def flow_eager(tasks: list[Flow]) -> np.ndarray:
    torch.set_num_threads(1)
    pairs = [(task, e) for task in tasks for e in range(len(task.weights[0]))]

    def one(pair: tuple[Flow, int]) -> np.ndarray:
        task, e = pair
        weights = [torch.from_numpy(W[e]) for W in task.weights]
        x, d = torch.from_numpy(task.x), torch.from_numpy(task.d_output)
        return frameworks.flow(torch, weights, x, d).numpy()

    with ThreadPoolExecutor(THREADS) as pool:
        rows = np.array(list(pool.map(one, pairs)))
    return rows.reshape(len(tasks), -1, *rows.shape[1:])


def flow_vmap(tasks: list[Flow]) -> np.ndarray:
    torch.set_num_threads(THREADS)
    run = torch.func.vmap(partial(frameworks.flow, torch), in_dims=(0, None, None))
    results = []
    for task in tasks:
        weights = [torch.from_numpy(W) for W in task.weights]
        results.append(run(weights, torch.from_numpy(task.x), torch.from_numpy(task.d_output)))
    return np.array(results)


def chi() -> np.ndarray:
    torch.set_num_threads(THREADS)
    grid = [torch.tensor(a) for a in (SIGMA_W, SIGMA_B, NODES, DENSITY)]

    def repeat(step, q):
        for _ in range(LAYERS):
            q = step(q)
        return q

    return frameworks.chi(torch, repeat, *grid).numpy()
