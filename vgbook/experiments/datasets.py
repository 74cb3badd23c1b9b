"""データ: 乱数、8×8 の手書き数字、手元にある MNIST。

ここは読むだけで、何もダウンロードしません。画像は 1 枚を 1 行に並べ、画素を 0 から 1 にします。
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from vgbook._edge import Array, check_count, check_dtype, check_rng
from vgbook.experiments.mnist_files import PathLike, mnist_pair


class Dataset(NamedTuple):
    """訓練用と試験用の、画像とラベル。"""

    x_train: Array
    """訓練用の画像、(n_train, d)。0 から 1 の実数。"""
    labels_train: Array
    """訓練用の正解のクラス、(n_train,)。0 から 9 の整数。"""
    x_test: Array
    """試験用の画像、(n_test, d)。"""
    labels_test: Array
    """試験用の正解のクラス、(n_test,)。"""


def gaussian(n: int, d: int, *, rng: np.random.Generator, dtype: DTypeLike = float) -> Array:
    """標準正規分布 N(0, 1) に従うデータを作る。

    乱数は float64 で引いてから丸めるので、``rng`` が同じなら ``dtype`` によらず同じデータです。

    Parameters
    ----------
    n, d : int
        標本数と特徴数 (1 以上)。
    rng : numpy.random.Generator
        乱数生成器。
    dtype : dtype
        float32 か float64。

    Returns
    -------
    ndarray, shape (n, d)

    Raises
    ------
    TypeError
        ``rng`` が Generator でないとき。
    ValueError
        ``n`` か ``d`` が正の整数でないとき、``dtype`` が float32 でも float64 でもないとき。

    Examples
    --------
    >>> gaussian(1000, 100, rng=np.random.default_rng(0)).shape
    (1000, 100)
    """
    check_rng(rng)
    shape = check_count("n", n), check_count("d", d)
    return rng.standard_normal(shape).astype(check_dtype(dtype), copy=False)


def digits(dtype: DTypeLike = float, *, n_train: int = 1000) -> Dataset:
    """scikit-learn に付属する 8×8 の手書き数字 1797 枚を、訓練用と試験用に分けて返す。

    画素 0–16 は 16 で割って 0 から 1 にします。分け方はいつも同じで、訓練用と試験用とで
    数字の割合がそろいます。出典: Alpaydin and Kaynak (1998), Optical Recognition of
    Handwritten Digits, UCI Machine Learning Repository。

    Parameters
    ----------
    dtype : dtype
        画像の型。float32 か float64。
    n_train : int
        訓練用の枚数 (10 以上 1787 以下)。残りが試験用です。

    Returns
    -------
    Dataset
        画像は (n_train, 64) と (1797 − n_train, 64)。

    Raises
    ------
    ValueError
        ``n_train`` が範囲外のとき、``dtype`` が float32 でも float64 でもないとき。

    Examples
    --------
    >>> data = digits()
    >>> data.x_train.shape, data.x_test.shape
    ((1000, 64), (797, 64))
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    dtype = check_dtype(dtype)
    x, labels = load_digits(return_X_y=True)
    classes = len(np.unique(labels))
    most = len(labels) - classes  # どの数字も訓練用と試験用の両方に入る範囲
    if check_count("n_train", n_train, least=classes) > most:
        raise ValueError(
            f"n_train には {most} 以下の整数を渡してください。受け取った値: {n_train!r}"
        )
    # 種を 0 に決めてあるのは、本のどのページでも同じ画像で学習するため
    train, test = train_test_split(
        np.arange(len(labels)), train_size=int(n_train), stratify=labels, random_state=0
    )
    x, labels = (x / 16).astype(dtype), labels.astype(int)
    return Dataset(x[train], labels[train], x[test], labels[test])


def mnist(folder: PathLike, dtype: DTypeLike = np.float32) -> Dataset:
    """手元のフォルダにある MNIST を読む。

    ``train-images-idx3-ubyte``、``train-labels-idx1-ubyte``、``t10k-images-idx3-ubyte``、
    ``t10k-labels-idx1-ubyte`` の 4 つか、Keras の ``mnist.npz`` を置いてください。4 つのファイル
    なら、``.gz`` が付いていても、``train-images.idx3-ubyte`` のように点で区切られていても読み、
    ``MNIST/raw`` や、ファイルと同じ名前のフォルダの中など、2 段下まで探します。出典: LeCun et al.
    (1998), Gradient-Based Learning Applied to Document Recognition。

    Parameters
    ----------
    folder : str or os.PathLike
        ファイルがあるフォルダ。``mnist.npz`` そのものでもかまいません。
    dtype : dtype
        画像の型。float32 か float64。

    Returns
    -------
    Dataset
        画像は (60000, 784) と (10000, 784)。

    Raises
    ------
    TypeError
        ``folder`` がパスでないとき。
    FileNotFoundError
        フォルダかファイルがないとき。
    ValueError
        ファイルの中身が正しくないとき。

    Examples
    --------
    >>> mnist("no-such-folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: folder には MNIST のフォルダを渡してください。受け取った値: 'no-such-folder'
    """
    return Dataset(*mnist_pair(folder, "train", dtype), *mnist_pair(folder, "t10k", dtype))
