// Package javaregexp applies the regular expressions of Kafka's mapping rules as Java does,
// on Go's RE2: full matches, replaceAll and replaceFirst with Java's replacement syntax, and
// letters in the case that Java gives them.
//
// What RE2 lacks (look-around, back-references, possessive quantifiers) and what it reads
// otherwise than Java (class intersections and unions, octal numbers, the flag U) is refused
// by [Compile], and texts that the two read differently whatever the pattern by
// [Regexp.Check], so that no rule can silently map a name to another one than it does in
// Java; \b is Java 19's, for ASCII. A [Regexp] is immutable.
package javaregexp
