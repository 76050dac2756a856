// What the page is drawn with: the one place that names the vendored file.

export {
  Component,
  html,
  render,
  useErrorBoundary,
  useLayoutEffect,
  useEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
} from "./vendor/preact-htm.js";
