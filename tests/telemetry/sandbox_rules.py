"""Rules that loop, recurse, allocate, backtrack."""

from tests.telemetry.sandbox_pool import LOOP

HOSTILE = {
    "loops": LOOP,
    "recurses": "($f := function($x){ 1 + $f($x + 1) }; $f(1))",
    "recurses in two": "($f := function($x){ $g($x) }; $g := function($x){ 1 + $f($x) }; $f(1))",
    "maps maps": "$map([1..9999], function($a){ $map([1..9999], function($b){ $a * $b }) })",
    "multiplies": "$sum([1..9999].([1..9999]))",
    "allocates": '$pad("", 2000000000, "x")',
    "allocates bit by bit": '$join($map([1..9999], function($i){ $pad("", 1000000, "x") }))',
    "allocates a range": "[1..9999999]",
    "doubles": '($f := function($s){ $f($s & $s) }; $f("x"))',
    "answers too much": '$pad("", 300000, "x")',
    "backtracks": '$match($pad("", 5000, "a") & "b", /(a+)+(a|aa)*$/)',
    "has a huge expression": '$match("a", /((((a{1,100}){1,100}){1,100}){1,100})/)',
    "replaces much": '$replace($pad("", 100000, "a"), /a/, $pad("", 100000, "b"))',
    "nests": "(" * 2000 + "1" + ")" * 2000,
    "nests arrays": "[" * 500 + "1" + "]" * 500,
    "nests its result": "($f := function($n, $x){ $n = 0 ? $x : $f($n - 1, [[$x]]) }; $f(5000, 1))",
    "sorts with a comparison that lies": "$sort([1..9999], function($a, $b){ true })",
    "raises": '$error("no")',
    "divides by zero": "1/0",
    "gives a function": "function($x){ $x }",
    "builds dates": '$toMillis($pad("", 5000, "1"), "' + "[f1]" * 50 + '")',
    "pictures": '$formatNumber(1, $pad("", 100000, "0"))',
    "powers": "$power(10, 99999)",
}
