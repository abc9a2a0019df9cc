"""Exact error rates and correlations for the certificate, independent of the code of channels and modem."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch

# SNR grid of the tables in dB: integrals reach from gains 60 dB below to 25 dB above the mean.
_GRID_DB = np.arange(-60.0, 46.0, 0.1)


def level_pairs(width: int) -> tuple[np.ndarray, np.ndarray]:
    """Equally spaced levels with mean energy 1/2, and their reflected Gray labels [levels, width]."""
    index = np.arange(2**width)
    levels = 2.0 * index - (2**width - 1)
    gray = index ^ index >> 1
    labels = gray[:, None] >> np.arange(width - 1, -1, -1) & 1
    return levels / math.sqrt(2 * np.mean(levels**2)), labels


def ber_awgn(bits_per_symbol: int, snr: np.ndarray | float) -> np.ndarray:
    """Bit error rate of Gray QAM when each bit is decided by the sign of its exact LLR.

    P = mean over bits of 1/2 integral min(p(y | 0), p(y | 1)) dy, by quadrature for 16QAM and above; Q(sqrt(2 SNR)) for
    BPSK and Q(sqrt(SNR)) for QPSK. Above 30 dB the decision thresholds are midway between levels.

    Args:
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.
        snr: Es/N0, linear.

    Source: Proakis and Salehi, Digital Communications, 5th ed., sections 4.1 (decision by posterior) and 4.3.

    >>> float(ber_awgn(1, 10.0).round(9))
    3.872e-06
    """
    snr = np.asarray(snr, float)
    if bits_per_symbol <= 2:
        return _q(np.asarray(np.sqrt(2 / bits_per_symbol * snr)))
    return np.vectorize(lambda value: _ber_level(bits_per_symbol // 2, float(value)))(snr)


def ber_fading(bits_per_symbol: int, snr: float, k_factor: float = 0.0, power: int = 1) -> float:
    """Mean bit error rate over Rician fading, E[P(SNR |g|^2)^power] with E|g|^2 = 1.

    Args:
        bits_per_symbol: bits of a constellation symbol: 1, 2, 4, 6 or 8.
        snr: mean Es/N0, linear.
        k_factor: Rician K-factor, linear, up to 1000 (limit of the grid); 0 is Rayleigh fading.
        power: 1 for the mean; 2 for the mean square, from which the variance between gains follows.

    Source: Simon and Alouini, Digital Communication over Fading Channels, 2nd ed., sections 2.2 and 8.2.

    >>> rayleigh = 0.5 * (1 - math.sqrt(10 / 11))
    >>> abs(ber_fading(1, 10.0) / rayleigh - 1) < 1e-3
    True
    """
    gain = 10 ** (_GRID_DB / 10) / snr
    # I0(z) e^(-z) keeps the density finite for large K-factors
    argument = 2 * np.sqrt(k_factor * (1 + k_factor) * gain)
    bessel = torch.special.i0e(torch.from_numpy(argument)).numpy()
    density = (1 + k_factor) * bessel * np.exp(argument - k_factor - (1 + k_factor) * gain)
    weight = density * gain * (math.log(10) / 100)
    # gains below the grid have a bit error rate of 1/2
    return float((_table(bits_per_symbol) ** power * weight).sum() + 0.5**power * max(0.0, 1 - weight.sum()))


def jakes(lag_s: np.ndarray | float, doppler_hz: float) -> np.ndarray:
    """Autocorrelation of the Jakes spectrum, J0(2 pi f_D tau): plane waves from all horizontal directions.

    Source: Clarke, A statistical theory of mobile-radio reception, 1968.

    >>> float(jakes(0.0, 10.0))
    1.0
    """
    return torch.special.bessel_j0(torch.as_tensor(2 * math.pi * doppler_hz * np.asarray(lag_s, float))).numpy()


def estimated_snr(snr: float, error_variance: float) -> float:
    """Mean effective SNR with an estimate H + e of a Rayleigh gain, e ~ CN(0, v): 1 / (N0 (1 + v) + v).

    The receiver uses E[H | H + e], and the rest of H counts as noise. With one pilot of the energy of a data symbol
    v = N0, the SNR is SNR^2 / (1 + 2 SNR), and the loss tends to 3 dB.

    Args:
        snr: Es/N0, linear.
        error_variance: variance v of the pilot noise, linear.

    Source: Hassibi and Hochwald, How much training is needed in multiple-antenna wireless links?, 2003, equation 20.

    >>> round(10 * math.log10(100 / estimated_snr(100.0, 0.01)), 2)
    3.03
    """
    return 1 / ((1 + error_variance) / snr + error_variance)


def ber_diversity(snr: float, order: int) -> float:
    """Bit error rate of QPSK with maximum-ratio combining of independent Rayleigh branches.

    P = ((1 - m) / 2)^L sum over k < L of C(L - 1 + k, k) ((1 + m) / 2)^k with m = sqrt(g / (1 + g)) and g = SNR / 2.

    Args:
        snr: mean Es/N0 of each branch, linear.
        order: number of branches L, the diversity order.

    Source: Proakis and Salehi, Digital Communications, 5th ed., section 13.4-1.

    >>> abs(ber_diversity(10.0, 1) / ber_fading(2, 10.0) - 1) < 1e-3
    True
    """
    mean = math.sqrt(snr / (2 + snr))
    terms = [math.comb(order - 1 + k, k) * ((1 + mean) / 2) ** k for k in range(order)]
    return ((1 - mean) / 2) ** order * sum(terms)


def ber_from_outage(outage: Callable[[np.ndarray], np.ndarray]) -> float:
    """Bit error rate of QPSK from the distribution F of the SNR: the integral of F(x) e^(-x/2) / (2 sqrt(2 pi x)) dx.

    Args:
        outage: function F(x) = P(SNR < x), x linear.

    Source: Simon and Alouini, Digital Communication over Fading Channels, 2nd ed., section 1.1.

    >>> rayleigh = ber_from_outage(lambda x: 1 - np.exp(-x / 10))
    >>> abs(rayleigh / ber_diversity(10.0, 1) - 1) < 1e-6
    True
    """
    root = np.linspace(1e-9, 12, 4001)  # x = root^2: the integrand is smooth
    return float(np.trapezoid(outage(root**2) * np.exp(-(root**2) / 2) / math.sqrt(2 * math.pi), root))


def relay_outage(x: np.ndarray, first: float, second: float, direct: float = 0.0) -> np.ndarray:
    """P(SNR < x) behind an amplify-and-forward relay, s1 s2 / (s1 + s2 + 1) and the direct path, Rayleigh fading.

    Args:
        x: SNR, linear.
        first: mean SNR of the path from source to relay, linear.
        second: mean SNR of the path from relay to destination, linear.
        direct: mean SNR of the direct path, which is added; 0: there is none.

    Source: Emamian, Anghel and Kaveh, Multi-user spatial diversity in a shadow-fading environment, 2002.

    >>> float(relay_outage(np.array([1e-9]), 10.0, 10.0)[0]) < 1e-6
    True
    """
    from scipy.special import k1

    if direct:
        shares = np.linspace(0, 1, 400)[:, None]  # of x that the direct path has
        density = np.exp(-x * shares / direct) * x / direct
        return np.trapezoid(density * relay_outage(x * (1 - shares), first, second), shares, axis=0)
    argument = 2 * np.sqrt(np.maximum(x * (x + 1), 1e-300) / (first * second))
    return 1 - argument * np.exp(-x * (1 / first + 1 / second)) * k1(argument)


def interference_outage(x: np.ndarray, snr: float, sir: float) -> np.ndarray:
    """P(SINR < x) with one interferer, Rayleigh fading of both: 1 - e^(-x / SNR) / (1 + x / SIR).

    Source: Yao and Sheikh, Investigations into cochannel interference in microcellular mobile radio systems, 1992.

    >>> float(interference_outage(np.ones(1), 1e9, 1.0)[0].round(3))
    0.5
    """
    return 1 - np.exp(-x / snr) / (1 + x / sir)


def telatar_capacity(transmit: int, receive: int, snr: float) -> float:
    """Ergodic capacity in bit per use of Rayleigh fading with equal power at the transmit antennas.

    C = integral of log2(1 + SNR x / Nt) sum over k < m of k! / (k + n - m)! L_k^(n-m)(x)^2 x^(n-m) e^-x dx with m and n
    the smaller and the larger number of antennas and the Laguerre polynomials L.

    Args:
        transmit: number of transmit antennas Nt.
        receive: number of receive antennas.
        snr: mean Es/N0 of a receive antenna, linear.

    Source: Telatar, Capacity of multi-antenna Gaussian channels, 1999, theorem 2.

    >>> round(telatar_capacity(2, 2, 10.0), 2)
    5.55
    """
    from scipy.special import eval_genlaguerre

    least, more = min(transmit, receive), abs(transmit - receive)
    x = np.linspace(0, 100, 200_001)
    weights = [math.factorial(k) / math.factorial(k + more) * eval_genlaguerre(k, more, x) ** 2 for k in range(least)]
    return float(np.trapezoid(np.log2(1 + snr * x / transmit) * np.sum(weights, 0) * x**more * np.exp(-x), x))


def water_filling_capacity(snr: float) -> float:
    """Ergodic capacity in bit per use of 2 x 2 Rayleigh fading that the transmitter knows, power fixed in each use.

    The integral over the eigenvalues a > b of H H^H, with density (a - b)^2 e^(-a - b).

    Args:
        snr: mean Es/N0 of a receive antenna, linear.

    Source: Telatar, Capacity of multi-antenna Gaussian channels, 1999, sections 3.1 and 4.2.

    >>> telatar_capacity(2, 2, 1.0) < water_filling_capacity(1.0) < 2 * telatar_capacity(2, 2, 1.0)
    True
    """
    nodes, weights = np.polynomial.laguerre.laggauss(60)
    # b and d = a - b: the density is d^2 e^(-d) e^(-2 b)
    lower, difference = nodes[:, None] / 2, nodes[None]
    upper = lower + difference
    both = np.log2((1 + (1 / lower + 1 / upper) / snr) ** 2 / 4 * lower * upper * snr**2)
    rate = np.where(1 / lower - 1 / upper < snr, both, np.log2(1 + snr * upper))
    return float((weights[:, None] / 2 * weights * difference**2 * rate).sum())


def pair_error(first: torch.Tensor, second: torch.Tensor, snr: float) -> float:
    """Least error probability of the decision between two equally likely modulations after one use over AWGN.

    P = 1/2 integral min(p_1(y), p_2(y)) dy over the complex plane, by the midpoint rule.

    Args:
        first: points of the first modulation, of mean energy 1, complex128 [points].
        second: points of the second one.
        snr: Es/N0, linear.

    >>> round(pair_error(torch.tensor([1.0 + 0j, -1.0 + 0j]), torch.tensor([1.0 + 0j, -1.0 + 0j]), 1.0), 3)
    0.5
    """
    noise = 1 / snr
    spacing = 0.1 * math.sqrt(noise)
    line = np.arange(-2.0 - 5 * math.sqrt(noise), 2.0 + 5 * math.sqrt(noise), spacing)
    plane = line[:, None] + 1j * line[None]
    densities = [
        sum(np.exp(-(np.abs(plane - point) ** 2) / noise) for point in points.numpy()) / len(points)
        for points in (first, second)
    ]
    return float(np.minimum(*densities).sum() * spacing**2 / (math.pi * noise) / 2)


def _q(x: np.ndarray) -> np.ndarray:
    return np.asarray(torch.special.erfc(torch.as_tensor(x / math.sqrt(2), dtype=torch.float64)).numpy() / 2)


@lru_cache
def _table(bits_per_symbol: int) -> np.ndarray:
    return ber_awgn(bits_per_symbol, 10 ** (_GRID_DB / 10))


def _ber_level(width: int, snr: float) -> float:
    levels, labels = level_pairs(width)
    deviation = math.sqrt(0.5 / snr)
    if snr > 1000:
        return _ber_nearest(levels, labels, deviation)
    step = deviation / 40
    reach = levels[-1] + 9 * deviation
    values = np.arange(-reach, reach, step)
    likelihood = np.exp(-((values - levels[:, None]) ** 2) / (2 * deviation**2))
    one = labels.T.astype(float) @ likelihood
    zero = (1.0 - labels.T) @ likelihood
    density = np.minimum(one, zero).sum(1) * step / (len(levels) * deviation * math.sqrt(2 * math.pi))
    return float(density.mean())


def _ber_nearest(levels: np.ndarray, labels: np.ndarray, deviation: float) -> float:
    """Bit error rate of one real dimension when the nearest level is chosen, which is optimal at high SNR.

    Source: Cho and Yoon, On the general BER expression of one- and two-dimensional amplitude modulations, 2002.
    """
    edges = np.concatenate([[-np.inf], (levels[1:] + levels[:-1]) / 2, [np.inf]])
    below = _q((levels[:, None] - edges[None]) / deviation)
    decided = np.diff(below, axis=1)
    # differences of numbers near one lose small tails: use the complementary tail there
    above = _q((edges[None] - levels[:, None]) / deviation)
    decided = np.where(edges[None, :-1] > levels[:, None], -np.diff(above, axis=1), decided)
    distance = (labels[:, None] != labels[None]).mean(-1)
    return float((decided * distance).sum() / len(levels))
