import { MutationCache, QueryClient } from "@tanstack/react-query";
import { failed } from "@/ui/toasts";
import { asProblem } from "./problem";

/**
 * Reads are kept for some seconds and tried again where that may help. A mutation that fails says so in a toast; one
 * with `meta: { shown: true }` shows its problem itself, beside what the person was doing.
 */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      retry: (failures, error) => asProblem(error).passing && failures < 2,
      retryDelay: (attempt) => Math.min(1000 * 2 ** attempt, 8000),
    },
    mutations: { retry: false },
  },
  mutationCache: new MutationCache({
    onError: (error, _variables, _result, mutation) => {
      if (!mutation.meta?.shown) failed(error);
    },
  }),
});
