"""数式 (TeX) を、探せて抜き書きもできる 1 行の文字にする。組んだ形は vg.math.typeset が作る。"""

from __future__ import annotations

import re

SYMBOLS = {
    **dict(zip(
        ("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "eta", "theta", "kappa"),
        "αβγδεεηθκ", strict=True,
    )),
    **dict(zip(
        ("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi"),
        "λμνξπρστφφχψ", strict=True,
    )),
    **dict(zip(("Delta", "Sigma", "Phi", "omega", "Omega", "partial"), "ΔΣΦωΩ∂", strict=True)),
    **dict(zip(("times", "cdot", "odot", "approx", "le", "ge"), "×·⊙≈≤≥", strict=True)),
    **dict(zip(("to", "leftarrow", "infty", "sqrt", "sum", "prod", "ne"), "→←∞√Σ∏≠", strict=True)),
    **dict(zip(("in", "pm", "ell", "prime", "cdots", "dots", "mid"), "∈±ℓ′……|", strict=True)),
    **dict(zip(("zeta", "nabla", "int", "sim", "langle", "rangle"), "ζ∇∫∼⟨⟩", strict=True)),
    **dict(zip(("iff", "mapsto", "longrightarrow", "lesssim"), "⇔↦→≲", strict=True)),
    "T": "ᵀ", "relu": "ReLU ",
}  # fmt: skip
LAYOUT = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\(?:left|right|[bB]igg?[lrm]?|q?quad)(?![A-Za-z])")
FACES = re.compile(r"\\(?:text|operatorname|math\w+|hat|bar|tilde|overline|underbrace)(?![A-Za-z])")
STRUCTURES = (  # 引数の中に括弧がなくなったものから、順に開く
    (re.compile(r"(?<![A-Za-z0-9}_^])\{([^{}]*)\}|(?<=[_^])\{([^{}]*)\}"), r"\1\2"),
    (re.compile(r"\\pd\{([^{}]*)\}\{([^{}]*)\}"), r"\\partial \1/\\partial \2"),
    (re.compile(r"\\[dt]?frac(?:\{([^{}]*)\}| ?(\w))(?:\{([^{}]*)\}| ?(\w))"), r"\1\2/\3\4"),
    (re.compile(r"\\sqrt\{(\w*)\}"), r"\\sqrt \1"),
    (re.compile(r"\\sqrt\{([^{}]*)\}"), r"\\sqrt(\1)"),
    (re.compile(r"\\abs\{([^{}]*)\}"), r"|\1|"),
    (re.compile(r"\\norm\{([^{}]*)\}"), r"‖\1‖"),
)
SMALL = str.maketrans("0123456789+-", "₀₁₂₃₄₅₆₇₈₉₊₋")
RAISED = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def plain(tex: str) -> str:
    r"""数式を、1 行の文字にする。

    >>> plain(r"\pd{L}{W_1} = \sigma_w^2\,n_{\text{in}} + \frac{1}{4}")
    '∂L/∂W₁ = σ_w² n_in + 1/4'
    >>> plain(r"\frac{x-\mu_B}{\sqrt{\sigma_B^2+\varepsilon}} = \frac1N\sqrt{n}")
    'x-μ_B/√(σ_B²+ε) = 1/N√n'
    >>> plain(r"\frac1{\sqrt{2\pi}}")
    '1/√(2π)'
    >>> plain(r"\pd{L}{z_{nj}} \qquad \norm{\hat W_{l-1}} \bigl(\tfrac{n_{\text{in}}}{2}\bigr)")
    '∂L/∂z_nj ‖ W_l-1‖ (n_in/2 )'
    """
    tex, before = FACES.sub("", LAYOUT.sub(" ", tex)), ""
    while tex != before:
        before = tex
        for pattern, flat in STRUCTURES:
            tex = pattern.sub(flat, tex)
    tex = re.sub(r"\\([A-Za-z]+) ?", lambda m: SYMBOLS.get(m[1], f"{m[1]} "), tex)
    tex = re.sub(r"_([+-]?[0-9]+)", lambda m: m[1].translate(SMALL), tex)
    tex = re.sub(r"\^([+-]?[0-9]+)", lambda m: m[1].translate(RAISED), tex)
    tex = re.sub(r"\\[,;:! ]|\\\\|[&~]", " ", tex)
    return re.sub(r"\s+", " ", re.sub(r"[\\{}]", "", tex)).strip()
