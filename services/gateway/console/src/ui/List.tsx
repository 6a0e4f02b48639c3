import { Button, Checkbox, Table } from "@mantine/core";
import { type QueryKey, useInfiniteQuery } from "@tanstack/react-query";
import { Fragment, type ReactNode } from "react";
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

export interface Column<Row> {
  head: string;
  cell: (row: Row) => ReactNode;
  /** The heading is for screen readers alone: buttons stand there. */
  quiet?: boolean;
  /** Left out on a phone. */
  wide?: boolean;
  /** In one line: times. */
  tight?: boolean;
  /** At the right: numbers, buttons. */
  end?: boolean;
}

interface RowsProps<Row> {
  rows: Row[];
  columns: Column<Row>[];
  id: (row: Row) => string;
  /** What stands below a row that is open; null for one that is not. */
  detail?: (row: Row) => ReactNode;
  choosing?: Choosing<Row>;
}

export interface Choosing<Row> {
  chosen: ReadonlySet<string>;
  choose: (chosen: ReadonlySet<string>) => void;
  /** What a row's box is called: "the alert of boiler-7". */
  name: (row: Row) => string;
  /** Absent: any. */
  may?: (row: Row) => boolean;
  /** As many as can be acted on at a time; absent: as many as are shown. */
  most?: number;
}

const classes = (column: Column<never>): string =>
  [column.wide && css.wide, column.tight && css.tight, column.end && css.number].filter(Boolean).join(" ");

/** The table of a list. */
export function Rows<Row>({ rows, columns, id, detail, choosing }: RowsProps<Row>) {
  return (
    <Table highlightOnHover className={css.table}>
      <Table.Thead>
        <Table.Tr>
          {choosing && (
            <Table.Th className={css.box}>
              <ChooseAll rows={rows} id={id} {...choosing} />
            </Table.Th>
          )}
          {columns.map((column) => (
            <Table.Th
              key={column.head}
              className={classes(column)}
              aria-label={column.quiet ? column.head : undefined}
            >
              {!column.quiet && column.head}
            </Table.Th>
          ))}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => {
          const below = detail?.(row);
          return (
            <Fragment key={id(row)}>
              <Table.Tr>
                {choosing && (
                  <Table.Td className={css.box}>
                    <ChooseOne row={row} id={id(row)} {...choosing} />
                  </Table.Td>
                )}
                {columns.map((column) => (
                  <Table.Td key={column.head} className={classes(column)}>
                    {column.cell(row)}
                  </Table.Td>
                ))}
              </Table.Tr>
              {below && (
                <Table.Tr>
                  <Table.Td colSpan={columns.length + (choosing ? 1 : 0)} className={css.detail}>
                    {below}
                  </Table.Td>
                </Table.Tr>
              )}
            </Fragment>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

function ChooseOne<Row>({ row, id, chosen, choose, name, may }: Choosing<Row> & { row: Row; id: string }) {
  if (may && !may(row)) return null;
  return (
    <Checkbox
      aria-label={`Choose ${name(row)}`}
      checked={chosen.has(id)}
      onChange={(event) => {
        const next = new Set(chosen);
        if (event.currentTarget.checked) next.add(id);
        else next.delete(id);
        choose(next);
      }}
    />
  );
}

function ChooseAll<Row>({
  rows,
  id,
  chosen,
  choose,
  may,
  most,
}: Choosing<Row> & { rows: Row[]; id: (row: Row) => string }) {
  const all = rows
    .filter((row) => !may || may(row))
    .slice(0, most)
    .map(id);
  const held = all.filter((each) => chosen.has(each)).length;
  return (
    <Checkbox
      aria-label="Choose all that are shown"
      disabled={all.length === 0}
      checked={held > 0 && held === all.length}
      indeterminate={held > 0 && held < all.length}
      onChange={(event) => choose(new Set(event.currentTarget.checked ? all : []))}
    />
  );
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
