/* schema: the version of the database's schema that this program was made for: the last number in sql/upgrade. */
#ifndef CORE_SCHEMA_H
#define CORE_SCHEMA_H

#define SCHEMA_VERSION 2

#endif
