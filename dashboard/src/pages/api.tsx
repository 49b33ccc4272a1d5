/** The REST API as it describes itself: every call with what it takes, what it answers, and the contract's rules. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import {
  DESCRIPTION_PATH,
  type Description,
  getDescription,
  inWords,
  type Operation,
  type Parameter,
  partOf,
} from "../api/description";
import { useLoaded } from "../live/refresh";
import type { Schema } from "../schema/schema";
import { plural } from "../ui/format";
import { Loading, PageHead, Panel, Problem, TableFrame } from "../ui/pieces";
import "../styles/api.css";

interface Call {
  readonly verb: string;
  readonly path: string;
  readonly operation: Operation;
}

export function Api() {
  const { data, error, loading } = useLoaded("api", getDescription, false);
  const [wanted, setWanted] = useState("");
  return (
    <>
      <PageHead title="API" note={<a href={DESCRIPTION_PATH}>OpenAPI document</a>} />
      <Problem error={error} />
      {loading && <Loading />}
      {data && (
        <>
          <Prose text={data.info.description} />
          <p>
            <label class="field">
              <span>Find a call</span>
              <input type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
            </label>
          </p>
          <Calls description={data} wanted={wanted.trim().toLowerCase()} />
        </>
      )}
    </>
  );
}

function callsOf(description: Description, tag: string, wanted: string): Call[] {
  return Object.entries(description.paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([, operation]) => operation.tags.includes(tag))
      .filter(([verb, one]) => `${verb} ${path} ${one.operationId} ${one.description}`.toLowerCase().includes(wanted))
      .map(([verb, operation]) => ({ verb, path, operation })),
  );
}

function Calls({ description, wanted }: { description: Description; wanted: string }) {
  const groups = description.tags.map((tag) => ({ tag, calls: callsOf(description, tag.name, wanted) }));
  const total = groups.reduce((sum, { calls }) => sum + calls.length, 0);
  return (
    <>
      <p class="hint" role="status">
        {plural(total, "call")}
        {wanted && ` with “${wanted}”`}
      </p>
      {groups.map(
        ({ tag, calls }) =>
          calls.length > 0 && (
            <Panel key={tag.name} title={tag.name}>
              <Prose text={tag.description} />
              {calls.map((call) => (
                <OneCall key={call.operation.operationId} call={call} description={description} />
              ))}
            </Panel>
          ),
      )}
    </>
  );
}

function OneCall({ call, description }: { call: Call; description: Description }) {
  const { verb, path, operation } = call;
  return (
    <Unfolding
      class="call"
      summary={
        <>
          <code class={`verb ${verb}`}>{verb.toUpperCase()}</code> <code class="path">{path}</code>{" "}
          <span class="faint">
            <Quoted text={operation.summary} />
          </span>
        </>
      }
    >
      {() => (
        <div class="panel-body stack">
          <Prose text={operation.description} />
          {operation.parameters && <Parameters parameters={operation.parameters} />}
          {operation.requestBody && (
            <Shape
              title={operation.requestBody.required ? "Body" : "Body, which may be left out"}
              schema={schemaOf(operation.requestBody.content)}
              description={description}
            />
          )}
          {Object.entries(operation.responses)
            .filter(([status]) => status !== "default")
            .map(([status, response]) => (
              <Shape
                key={status}
                title={`Answer ${status}`}
                schema={schemaOf(response.content)}
                description={description}
              />
            ))}
          <Shape title="Any refusal" schema={{ $ref: "Status" }} description={description} />
        </div>
      )}
    </Unfolding>
  );
}

function schemaOf(content: Operation["responses"][string]["content"]): Schema {
  return Object.values(content ?? {})[0]?.schema ?? {};
}

function Parameters({ parameters }: { parameters: readonly Parameter[] }) {
  return (
    <TableFrame label="Parameters">
      <thead>
        <tr>
          <th scope="col">Parameter</th>
          <th scope="col">In</th>
          <th scope="col">Type</th>
          <th scope="col">Meaning</th>
        </tr>
      </thead>
      <tbody>
        {parameters.map((parameter) => (
          <tr key={parameter.name}>
            <th scope="row">
              <code>{parameter.name}</code>
            </th>
            <td>{parameter.in}</td>
            <td>{inWords(parameter.schema)}</td>
            <td>{parameter.description}</td>
          </tr>
        ))}
      </tbody>
    </TableFrame>
  );
}

interface ShapeProps {
  readonly title: string;
  readonly schema: Schema;
  readonly description: Description;
}

/** A body or an answer: the name of its type, and its fields. */
function Shape({ title, schema, description }: ShapeProps) {
  const name = partOf(schema);
  const object = name === undefined ? schema : description.components.schemas[name];
  return (
    <section class="shape">
      <h3>
        {title} <span class="faint">{Object.keys(schema).length === 0 ? "a file" : inWords(schema)}</span>
      </h3>
      {object && <Fields schema={object} description={description} />}
    </section>
  );
}

function Fields({ schema, description }: { schema: Schema; description: Description }) {
  const fields = Object.entries(schema.properties ?? {});
  return (
    <>
      {schema.description && <Prose text={schema.description} />}
      {schema.maxProperties === 1 && <p class="hint">Only one of these is set:</p>}
      <ul class="members">
        {fields.map(([name, field]) => (
          <Member
            key={name}
            name={name}
            field={field}
            required={schema.required?.includes(name) === true}
            description={description}
          />
        ))}
      </ul>
    </>
  );
}

interface MemberProps {
  readonly name: string;
  readonly field: Schema;
  readonly required: boolean;
  readonly description: Description;
}

function Member({ name, field, required, description }: MemberProps) {
  const part = partOf(field);
  const below = part === undefined ? undefined : description.components.schemas[part];
  return (
    <li>
      <code>{name}</code> <span class="faint">{required ? `${inWords(field)}, always` : inWords(field)}</span>
      {field.description && <Prose text={field.description} />}
      {below && (
        <Unfolding class="below" summary={part}>
          {() =>
            below.enum ? <Prose text={below.description ?? ""} /> : <Fields schema={below} description={description} />
          }
        </Unfolding>
      )}
    </li>
  );
}

interface UnfoldingProps {
  readonly class: string;
  readonly summary: ComponentChildren;
  readonly children: () => ComponentChildren;
}

/** What is inside is made when somebody looks: types hold one another without end. */
function Unfolding({ class: kind, summary, children }: UnfoldingProps) {
  const [open, setOpen] = useState(false);
  return (
    <details class={kind} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {open && children()}
    </details>
  );
}

/** The contract's comments: paragraphs, with names between backquotes. */
function Prose({ text }: { text: string }) {
  return (
    <div class="prose">
      <Quoted text={text} />
    </div>
  );
}

function Quoted({ text }: { text: string }) {
  return <>{text.split("`").map((piece, place) => (place % 2 === 1 ? <code key={place}>{piece}</code> : piece))}</>;
}
