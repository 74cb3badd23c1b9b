"""勾配の検算の章の検算。"""

import sympy

from checks.engine import check


@check("eq-gradcheck-central", "記号", over={r"\pm": (1, -1)}, free=r"\pm")
def central_difference(rng):
    """f は 3 次式で、展開は 3 次で終わる。「⋯」は 0。"""
    a, h, v = sympy.symbols("a h v")
    f = sympy.Poly(sympy.symbols("c:4"), v).as_expr()
    slopes = {"f" + "'" * order: sympy.diff(f, v, order).subs(v, a) for order in range(4)}
    return {"a": a, "h": h, **slopes, "f(": lambda at: f.subs(v, at), r"\cdots": sympy.Integer(0)}


@check("eq-gradcheck-best-h", "記号")
def best_step(rng):
    """h は、誤差の見積もりの微分を 0 とした方程式を SymPy で解いたもの。"""
    third, f, eps, h = sympy.symbols("f3 f epsilon h", positive=True)
    (best,) = sympy.solve(sympy.diff(third * h**2 / 6 + eps * f / h, h), h)
    return {r"\abs{f'''}": third, r"\abs{f}": f, r"\epsilon": eps, "h": best}
