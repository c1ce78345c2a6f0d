# SPDX-License-Identifier: Apache-2.0
# Manual pages of section 3, from the comments of the public header.
#
#	cat snapdrv.h snapdrv/*.h | awk -v directory=D -v version=V -v date=DAY -f header.awk - libsnapdrv.3.in
#		write D/FUNCTION.3 for each function, and D/libsnapdrv.3
#	awk -v codes=1 -f header.awk snapdrv/error.h
#		print the kinds of failure as the list of exit statuses
#
# A comment of the header is `/** NAME() - summary`, lines `@parameter: text`, paragraphs, and one that
# starts with `Return:`; the declarations follow it at once. Comments of types are alike, and so are
# those that are only a sentence. What each header is for, `/* Words: more words. */`, is a heading.

function trim(text) {
	sub(/^[ \t]+/, "", text)
	sub(/[ \t]+$/, "", text)
	return text
}

# Code: nothing in it is a request, an escape or a hyphen.
function literal(text) {
	gsub(/\\/, "\\e", text)
	gsub(/-/, "\\-", text)
	sub(/^[.']/, "\\\\\\&&", text)
	return text
}

# A sentence: `code` and the names of the header are bold, @parameters italic.
function prose(text,   out, word, found) {
	out = ""
	while (match(text, /`[^`]*`|@[a-z_]+|(snapdrv_[a-z_]+|[a-z_]+\([0-9]\)|snapdrv_[a-z_]+\(\))|SNAPDRV_[A-Z_]+/)) {
		out = out plain(substr(text, 1, RSTART - 1))
		word = substr(text, RSTART, RLENGTH)
		text = substr(text, RSTART + RLENGTH)
		if (word ~ /^`/)
			out = out "\\fB" literal(substr(word, 2, length(word) - 2)) "\\fR"
		else if (word ~ /^@/)
			out = out "\\fI" substr(word, 2) "\\fR"
		else
			out = out "\\fB" literal(word) "\\fR"
	}
	return out plain(text)
}

function plain(text) {
	gsub(/\\/, "\\e", text)
	gsub(/--/, "\\-\\-", text)
	return text
}

function line_of(text) {
	text = prose(text)
	if (text ~ /^[.']/)
		text = "\\&" text
	return text
}

# A sentence starts with a capital, but what is a name of the header stays.
function upper(text) {
	if (text ~ /^(enum|struct) |^[a-z_]*_|^[a-z]+\(/)
		return text
	return toupper(substr(text, 1, 1)) substr(text, 2)
}

# Split a comment's text into its first line, parameters and paragraphs: summary, n_parameters,
# parameter_name[], parameter_text[], n_paragraphs, paragraph[], returns.
function take_apart(lines, n,   i, line, at, rest) {
	summary = ""; n_parameters = 0; n_paragraphs = 0; returns = ""
	at = "summary"
	for (i = 1; i <= n; i++) {
		line = trim(lines[i])
		if (line == "") {
			at = "new"
			continue
		}
		if (line ~ /^@[a-z_A-Z]+[,:]/) {
			at = "parameter"
			parameter_text[++n_parameters] = line
		} else if (line ~ /^Return:/) {
			at = "return"
			returns = trim(substr(line, 8))
		} else if (at == "summary") {
			summary = trim(summary " " line)
		} else if (at == "parameter") {
			parameter_text[n_parameters] = parameter_text[n_parameters] " " line
		} else if (at == "return") {
			returns = returns " " line
		} else if (at == "new") {
			paragraph[++n_paragraphs] = line
			at = "paragraph"
		} else {
			paragraph[n_paragraphs] = paragraph[n_paragraphs] " " line
		}
	}
	# A summary may go on with parameters, and a parameter's text with the next one.
	if (match(summary, / @[a-z_]+: /)) {
		for (i = ++n_parameters; i > 1; i--)
			parameter_text[i] = parameter_text[i - 1]
		parameter_text[1] = trim(substr(summary, RSTART))
		summary = substr(summary, 1, RSTART - 1)
	}
	for (i = 1; i <= n_parameters; i++) {
		rest = substr(parameter_text[i], 2)
		if (match(rest, / @[a-z_]+(, @[a-z_]+)*: /)) {
			for (at = ++n_parameters; at > i + 1; at--)
				parameter_text[at] = parameter_text[at - 1]
			parameter_text[i + 1] = trim(substr(rest, RSTART))
			parameter_text[i] = "@" substr(rest, 1, RSTART - 1)
		}
		at = index(parameter_text[i], ":")
		parameter_name[i] = substr(parameter_text[i], 1, at - 1)
		gsub(/@/, "", parameter_name[i])
		parameter_text[i] = trim(substr(parameter_text[i], at + 1))
	}
}

function put_parameters(file,   i) {
	for (i = 1; i <= n_parameters; i++)
		print ".TP\n.I " literal(parameter_name[i]) "\n" line_of(upper(parameter_text[i])) >file
}

function put_code(file, text,   lines, n, i) {
	print ".PP\n.nf" >file
	n = split(text, lines, "\n")
	for (i = 1; i <= n; i++)
		print "\\fB" literal(lines[i]) "\\fR" >file
	print ".fi" >file
}

function put_type(file, name,   lines, n, i) {
	n = split(type_comment[name], lines, "\n")
	take_apart(lines, n)
	sub(/^(struct|enum) [a-z_]+ - |^SNAPDRV_[A-Z]+ - /, "", summary)
	print ".SS " literal(type_title[name]) "\n" line_of(upper(summary)) >file
	put_code(file, type_code[name])
	put_parameters(file)
	for (i = 1; i <= n_paragraphs; i++)
		print ".PP\n" line_of(paragraph[i]) >file
}

# Types that a text names, and those that these name in turn, into wanted[].
function want(text,   name, rest) {
	rest = text
	while (match(rest, /(struct|enum) snapdrv_[a-z_]+/)) {
		name = substr(rest, RSTART, RLENGTH)
		rest = substr(rest, RSTART + RLENGTH)
		if (name in type_code && !(name in wanted) && name != "struct snapdrv_error") {
			wanted[name] = 1
			want(type_code[name] " " type_comment[name])
		}
	}
}

function title(file, name) {
	print ".\\\" Made by the build from snapdrv.h; not to be edited." >file
	print ".TH " literal(toupper(name)) " 3 \"" date "\" \"snapdrv " version "\" \"libsnapdrv\"" >file
}

function put_function(k,   file, lines, n, i, name, others, names, any, text) {
	n = split(function_names[k], names, " ")
	name = names[1]
	file = directory "/" name ".3"
	for (i = 2; i <= n; i++) {
		print ".so man3/" name ".3" >(directory "/" names[i] ".3")
		close(directory "/" names[i] ".3")
		others = others ", " literal(names[i])
	}
	n = split(function_comment[k], lines, "\n")
	take_apart(lines, n)
	sub(/^[^-]*\(\)[^-]* - /, "", summary)
	function_summary[k] = summary
	title(file, name)
	text = summary
	sub(/\.$/, "", text)
	gsub(/`/, "", text)
	gsub(/@/, "", text)
	print ".SH NAME\n" literal(name) others " \\- " plain(text) >file
	print ".SH SYNOPSIS\n.nf\n\\fB#include <snapdrv.h>\\fR" >file
	print ".fi" >file
	put_code(file, function_code[k])
	if (n_parameters) {
		print ".SH PARAMETERS" >file
		put_parameters(file)
	}
	if (n_paragraphs) {
		print ".SH DESCRIPTION" >file
		for (i = 1; i <= n_paragraphs; i++)
			print (i > 1 ? ".PP\n" : "") line_of(paragraph[i]) >file
	}
	if (returns != "")
		print ".SH RETURN VALUE\n" line_of(upper(returns)) >file
	else if (function_code[k] ~ /^int /)
		print ".SH RETURN VALUE\n0, or a negative errno value." >file
	delete wanted
	want(function_code[k] " " function_comment[k])
	any = 0
	for (i = 1; i <= n_types; i++) {
		if (!(type_name[i] in wanted))
			continue
		if (!any++)
			print ".SH TYPES" >file
		put_type(file, type_name[i])
	}
	print ".SH SEE ALSO\n.BR libsnapdrv (3)" >file
	close(file)
}

function put_list(file,   k, i, n, names, heading) {
	for (k = 1; k <= n_functions; k++) {
		if (function_heading[k] != heading)
			print ".SS " upper(function_heading[k]) >file
		heading = function_heading[k]
		n = split(function_names[k], names, " ")
		print ".TP" >file
		for (i = 1; i <= n; i++)
			printf "%s\\fB%s\\fR(3)", (i > 1 ? ", " : ""), literal(names[i]) >file
		print "\n" line_of(upper(function_summary[k])) (function_summary[k] ~ /\.$/ ? "" : ".") >file
	}
}

function remember(   names, name, rest, one) {
	if (code ~ /^(struct|enum) / && code ~ /\{/) {
		match(code, /^(struct|enum) [a-z_]+/)
		name = substr(code, 1, RLENGTH)
	} else if (code ~ /^#define/) {
		split(code, one, " ")
		name = one[2]
	} else if (code ~ /\(/) {
		rest = code
		while (match(rest, /snapdrv_[a-z_]+\(/)) {
			names = names " " substr(rest, RSTART, RLENGTH - 1)
			rest = substr(rest, RSTART + RLENGTH)
			sub(/^[^;]*;/, "", rest)
		}
		function_names[++n_functions] = trim(names)
		function_code[n_functions] = code
		function_comment[n_functions] = comment
		function_heading[n_functions] = heading
		return
	} else {
		return
	}
	type_name[++n_types] = name
	type_title[name] = name
	type_code[name] = code
	type_comment[name] = comment
}

# ---- the header ----

FNR == 1 { n_files++ }
BEGIN { state = "" }

n_files == 1 && FNR > 1 && !opened && /^\/\*$/ { state = "opening"; next }
state == "opening" {
	if (/\*\//) {
		state = ""
		opened = 1
		next
	}
	sub(/^ \* ?/, "")
	opening[++n_opening] = $0
	if (sub(/^Threads: /, "", opening[n_opening])) {
		threads_at = n_opening
		opening[n_opening] = upper(opening[n_opening])
	}
	next
}
n_files == 1 && state == "" && /^\/\* [A-Z][^:]*: .*\. \*\/$/ {
	heading = substr($0, 4, index($0, ":") - 4)
	next
}
n_files == 1 && state == "" && /^\/\*\*/ {
	comment = ""
	state = "comment"
}
state == "comment" {
	ends = /\*\/[ \t]*$/
	text = $0
	sub(/^\/\*\*[ ]?/, "", text)
	sub(/[ ]*\*\/[ \t]*$/, "", text)
	sub(/^ \*[ ]?/, "", text)
	comment = comment (comment == "" ? "" : "\n") text
	if (ends) {
		state = "code"
		code = ""
	}
	next
}
state == "code" {
	if ($0 == "" || /^#ifdef|^#endif/) {
		remember()
		state = ""
		next
	}
	text = $0
	gsub(/\t/, "        ", text)
	code = code (code == "" ? "" : "\n") text
	next
}

# ---- the template ----

n_files == 2 && FNR == 1 && !made { made = 1; make_functions() }
n_files == 2 { put_template() }

function make_functions(   k) {
	for (k = 1; k <= n_functions; k++)
		put_function(k)
	page = directory "/libsnapdrv.3"
}

function put_opening(from, to,   i) {
	for (i = from; i <= to; i++)
		print opening[i] == "" ? ".PP" : line_of(opening[i]) >page
}

function put_template() {
	if ($0 == "@TITLE@") {
		title(page, "libsnapdrv")
	} else if ($0 == "@CONVENTIONS@") {
		put_opening(3, threads_at - 2)
	} else if ($0 == "@THREADS@") {
		put_opening(threads_at, n_opening)
	} else if ($0 == "@FUNCTIONS@") {
		put_list(page)
	} else if ($0 == "@ERROR@") {
		put_type(page, "enum snapdrv_code")
		put_type(page, "struct snapdrv_error")
	} else {
		print >page
	}
}

END {
	if (!codes)
		exit
	n = split(type_comment["enum snapdrv_code"], lines, "\n")
	take_apart(lines, n)
	print ".TP\n.B 0\nDone."
	for (i = 1; i <= n_parameters; i++) {
		match(type_code["enum snapdrv_code"], parameter_name[i] " = [0-9]+")
		number = substr(type_code["enum snapdrv_code"], RSTART, RLENGTH)
		sub(/.* /, "", number)
		print ".TP\n.B " number "\n" line_of(upper(parameter_text[i]))
	}
}
