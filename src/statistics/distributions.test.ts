import { describe, expect, it } from 'vitest';
import {
  chiSquareSurvival,
  normalCdf,
  normalQuantile,
  regularisedBeta,
  regularisedGamma,
  studentCdf,
  studentQuantile,
} from './index.ts';

// Every expected number was computed once by scipy 1.17.1.
const normalCdfValues = [
  [-30.0, 4.906713927147908e-198],
  [-8.5, 9.47953482220325e-18],
  [-3.0, 0.0013498980316300933],
  [-1.2815515655446004, 0.10000000000000009],
  [-0.5, 0.3085375387259869],
  [-1e-9, 0.49999999960105773],
  [0.0, 0.5],
  [0.3, 0.6179114221889526],
  [1.96, 0.9750021048517795],
  [5.0, 0.9999997133484281],
] as const;
const normalQuantileValues = [
  [1e-300, -37.0470962993612],
  [1e-12, -7.034483825301131],
  [1e-5, -4.264890793922825],
  [0.001, -3.090232306167813],
  [0.02425, -1.972961051311885],
  [0.05, -1.6448536269514729],
  [0.3, -0.5244005127080409],
  [0.5, 0.0],
  [0.8, 0.8416212335729143],
  [0.975, 1.959963984540054],
  [0.9999, 3.719016485455709],
] as const;
const studentCdfValues = [
  [-40.0, 3.0, 1.7190340394579253e-5],
  [-3.0, 6.0, 0.012004098377865468],
  [-1.943180281, 6.0, 0.049999999966400005],
  [0.0, 5.0, 0.5],
  [0.7, 1.0, 0.6944001122142147],
  [2.1, 19.0, 0.9753428008783632],
  [3.3, 99.0, 0.9993276176268004],
  [-12.0, 1000.0, 2.1620286933872145e-31],
  [-5.0, 1000000.0, 2.8669989354453723e-7],
] as const;
const studentQuantileValues = [
  [0.05, 6.0, -1.943180280515305],
  [0.025, 1.0, -12.706204736174705],
  [1e-6, 9.0, -10.7201604099095],
  [0.95, 19.0, 1.7291328115213682],
  [0.5, 3.0, 0.0],
  [0.999, 2.5, 13.82219311086596],
  [0.1, 100000.0, -1.2815600314493614],
] as const;
const chiSquareSurvivalValues = [
  [0.001, 1.0, 0.9747728793699604],
  [3.84, 1.0, 0.05004352124870519],
  [9.0, 9.0, 0.43727418891386693],
  [40.0, 9.0, 7.598525229464264e-6],
  [200.0, 9.0, 3.312992393909567e-38],
  [499.0, 499.0, 0.4915809493988226],
  [1000.0, 499.0, 8.515921112260613e-36],
  [20000.0, 19999.0, 0.49667547194641115],
  [5.0, 2.5, 0.12308857115265866],
] as const;
const regularisedGammaValues = [
  [0.5, 0.1, 0.34527915398142317, 0.6547208460185768],
  [3.0, 2.0, 0.32332358381693654, 0.6766764161830634],
  [3.0, 10.0, 0.9972306042844884, 0.0027693957155115775],
  [100.0, 90.0, 0.15822098918643007, 0.84177901081357],
  [10000.0, 10100.0, 0.8413487504471796, 0.15865124955282037],
  [0.001, 1e-5, 0.9891230446957835, 0.010876955304217334],
] as const;
const regularisedBetaValues = [
  [0.5, 0.5, 0.3, 0.36901011956554536],
  [2.0, 3.0, 0.9, 0.9963],
  [50.0, 0.5, 0.99, 0.3173043978741973],
  [10000.0, 20000.0, 0.33, 0.11020551912742219],
  [1.0, 1.0, 0.25, 0.25],
  [0.01, 5.0, 1e-5, 0.9099486514594585],
] as const;

/** Relative, so that the far tails count too. */
function errorOf(actual: number, expected: number): number {
  return Math.abs(expected === 0 ? actual : actual / expected - 1);
}

describe('distributions', () => {
  it('agree with scipy, also far out in the tails', () => {
    for (const [x, p] of normalCdfValues) expect(errorOf(normalCdf(x), p)).toBeLessThan(1e-11);
    for (const [p, x] of normalQuantileValues) expect(errorOf(normalQuantile(p), x)).toBeLessThan(1e-11);
    for (const [t, df, p] of studentCdfValues) expect(errorOf(studentCdf(t, df), p)).toBeLessThan(1e-9);
    for (const [p, df, t] of studentQuantileValues)
      expect(errorOf(studentQuantile(p, df), t)).toBeLessThan(1e-9);
    for (const [x, df, p] of chiSquareSurvivalValues)
      expect(errorOf(chiSquareSurvival(x, df), p)).toBeLessThan(1e-9);
    for (const [a, x, lower, upper] of regularisedGammaValues) {
      expect(errorOf(regularisedGamma(a, x).lower, lower)).toBeLessThan(1e-9);
      expect(errorOf(regularisedGamma(a, x).upper, upper)).toBeLessThan(1e-9);
    }
    for (const [a, b, x, value] of regularisedBetaValues)
      expect(errorOf(regularisedBeta(a, b, x), value)).toBeLessThan(1e-9);
  });

  it('answer at their ends, and NaN for what is no probability', () => {
    expect([normalQuantile(0), normalQuantile(1)]).toEqual([
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ]);
    expect([studentQuantile(0, 3), studentCdf(Number.POSITIVE_INFINITY, 3)]).toEqual([
      Number.NEGATIVE_INFINITY,
      1,
    ]);
    expect([normalQuantile(1.1), studentQuantile(-1, 3), studentCdf(Number.NaN, 3)]).toEqual([
      Number.NaN,
      Number.NaN,
      Number.NaN,
    ]);
    expect([chiSquareSurvival(0, 4), chiSquareSurvival(Number.POSITIVE_INFINITY, 4)]).toEqual([1, 0]);
  });
});
