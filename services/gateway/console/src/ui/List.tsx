import { Button } from "@mantine/core";
import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import css from "./List.module.css";

interface ListPage<Item> {
  items: Item[];
  next_cursor?: string | null;
}

interface Asked<Item> {
  key: QueryKey;
  page: (cursor: string | undefined) => Promise<ListPage<Item>>;
  everyMs?: number;
}

/** A list of the API, page by page; `data` are the items that were read so far. */
export function useList<Item>({ key, page, everyMs }: Asked<Item>) {
  return useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam }) => page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    select: (found) => found.pages.flatMap((each) => each.items),
    refetchInterval: everyMs,
  });
}

interface Further {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** The button below a list that goes on. */
export function More({ list }: { list: Further }) {
  if (!list.hasNextPage) return null;
  return (
    <div className={css.more}>
      <Button
        variant="default"
        size="xs"
        loading={list.isFetchingNextPage}
        onClick={() => list.fetchNextPage()}
      >
        Show more
      </Button>
    </div>
  );
}
