// Package javaregexp applies the regular expressions of Kafka's mapping rules as Java does,
// on Go's RE2: full matches, replaceAll and replaceFirst with Java's replacement syntax, and
// letters in the case that Java gives them.
//
// What RE2 lacks (look-around, back-references, possessive quantifiers) and what it reads
// otherwise than Java (class intersections and unions, the flag U) is refused by [Compile],
// so that no rule can silently map a name to another one than it does in Java. A [Regexp]
// is immutable.
package javaregexp
