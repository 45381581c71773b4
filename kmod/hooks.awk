# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#
# Put our functions in front of static functions of one stock unit.
#
#   awk -v unit=rxe_req.c -v texts=DIR -f hooks.awk HOOKS UNIT
#
# HOOKS lists "unit how function hash...".  The definition of each function of
# @unit that is hooked gets the name stock_FUNCTION and a prototype of FUNCTION
# in front of it: the rest of the unit then calls ours.  Of every function that
# is listed, hooked or relied upon, the text without comments and spacing goes
# to DIR/FUNCTION, for build.sh to look whether it has been reviewed.  Output is
# the unit.  Fails, naming it, when a function is not defined exactly once.

FNR == NR {
	if ($0 !~ /^#/ && $1 == unit) {
		how[$3] = $2
		order[++count] = $3
	}
	next
}

# The listed function that begins with the text at the margin, or "".
function listed(text,   i) {
	for (i = 1; i <= count; i++)
		if (text ~ ("[ *]" order[i] "\\("))
			return order[i]
	return ""
}

# Text without comments and spacing.
function bare(text,   at, end) {
	while ((at = index(text, "/*"))) {
		end = index(substr(text, at + 2), "*/")
		text = substr(text, 1, at - 1) " " substr(text, at + 2 + end + 1)
	}
	gsub(/\/\/[^\n]*/, "", text)
	gsub(/[ \t\n]+/, "", text)
	return text
}

# A definition is complete with the brace that closes it at the margin.
body != "" {
	print
	body = body "\n" $0
	if ($0 == "}") {
		print bare(body) >(texts "/" name)
		body = ""
	}
	next
}

# What begins at the margin is a declaration up to ";", a definition up to "{".
head == "" && /^[a-z].*\(/ && (name = listed($0)) != "" {
	head = $0
}
head == "" {
	print
	next
}
{
	if (head != $0)
		head = head "\n" $0
	if ($0 ~ /;/) {
		print head
		head = ""
	} else if ($0 ~ /\{/) {
		found[name]++
		body = head
		if (how[name] != "uses") {
			prototype = head
			sub(/[ \n]*\{.*/, "", prototype)
			print prototype ";"
			sub(name "\\(", "stock_" name "(", head)
		}
		if (how[name] == "replace")
			head = "__maybe_unused " head
		print head
		head = ""
	}
}
END {
	for (i = 1; i <= count; i++)
		if (found[order[i]] != 1) {
			printf "%s: %d definitions of %s()\n", unit, found[order[i]], order[i] >"/dev/stderr"
			bad = 1
		}
	exit bad
}
