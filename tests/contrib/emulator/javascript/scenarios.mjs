// What DynamicsWebApi does against the emulator. Each scenario is one line on stdout:
// {"name": …, "error": null or what went wrong}. Run as: node scenarios.mjs URL TOKEN
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createRequire } from "node:module";

const { DynamicsWebApi } = createRequire(import.meta.url)("dynamics-web-api");
const [url, token] = process.argv.slice(2);
const api = new DynamicsWebApi({
  serverUrl: url,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
});
const label = (text) => ({
  "@odata.type": "Microsoft.Dynamics.CRM.Label",
  LocalizedLabels: [
    { "@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", Label: text, LanguageCode: 1033 },
  ],
});
const column = (type, schemaName, rest = {}) => ({
  "@odata.type": `Microsoft.Dynamics.CRM.${type}AttributeMetadata`,
  SchemaName: schemaName,
  DisplayName: label(schemaName),
  RequiredLevel: { Value: "None", CanBeChanged: true, ManagedPropertyLogicalName: "canmodify" },
  ...rest,
});
const table = (schemaName) => ({
  "@odata.type": "Microsoft.Dynamics.CRM.EntityMetadata",
  SchemaName: schemaName,
  DisplayName: label(schemaName),
  DisplayCollectionName: label(`${schemaName}s`),
  OwnershipType: "UserOwned",
  IsActivity: false,
  HasActivities: false,
  HasNotes: false,
  Attributes: [
    column("String", "hfj_Name", { IsPrimaryName: true, MaxLength: 100, FormatName: { Value: "Text" } }),
  ],
});
const status = async (expected, promise) => {
  await assert.rejects(promise, (thrown) => {
    const error = Array.isArray(thrown) ? thrown.at(-1) : thrown; // a batch throws a list
    assert.equal(error.status, expected, `${error.status} ${error.message}`);
    return true;
  });
};
const made = {};

const scenarios = {
  async who_am_i() {
    const who = await api.callFunction("WhoAmI");
    assert.match(who.UserId, /^[0-9a-f-]{36}$/);
    made.user = who.UserId;
  },

  async tables_columns_keys_and_relationships_are_made_at_run_time() {
    made.project = await api.createEntity({ data: table("hfj_Project") });
    made.tag = await api.createEntity({ data: table("hfj_Tag") });
    assert.match(made.project, /^[0-9a-f-]{36}$/);
    made.code = await api.createAttribute({
      entityKey: made.project,
      data: column("String", "hfj_Code", { MaxLength: 50, FormatName: { Value: "Text" } }),
    });
    await api.createAttribute({
      entityKey: made.project,
      data: column("File", "hfj_Doc", { MaxSizeInKB: 32768 }),
    });
    await api.create({
      collection: "EntityDefinitions",
      key: "LogicalName='hfj_project'",
      navigationProperty: "Keys",
      data: {
        "@odata.type": "Microsoft.Dynamics.CRM.EntityKeyMetadata",
        SchemaName: "hfj_CodeKey",
        DisplayName: label("Code"),
        KeyAttributes: ["hfj_code"],
      },
    });
    made.relationship = await api.createRelationship({
      data: {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        SchemaName: "hfj_account_project",
        ReferencedEntity: "account",
        ReferencedAttribute: "accountid",
        ReferencingEntity: "hfj_project",
        Lookup: column("Lookup", "hfj_AccountId"),
      },
    });
    const found = await api.retrieveRelationships({ filter: "SchemaName eq 'hfj_account_project'" });
    assert.equal(found.value.length, 1);
    const one = await api.retrieveRelationship({ key: made.relationship });
    assert.equal(one.ReferencingAttribute, "hfj_accountid");
    assert.equal(one.ReferencingEntityNavigationPropertyName, "hfj_AccountId");
  },

  async metadata_is_read_in_every_shape() {
    const some = await api.retrieveEntities({
      select: ["LogicalName", "EntitySetName"],
      filter: "LogicalName eq 'hfj_project'",
    });
    assert.equal(some.value[0].EntitySetName, "hfj_projects");
    const all = await api.retrieveEntities({ select: ["LogicalName", "EntitySetName"] });
    assert.ok(all.value.length > 10);
    const one = await api.retrieveEntity({
      key: "LogicalName='hfj_project'",
      select: ["SchemaName", "PrimaryNameAttribute"],
    });
    assert.equal(one.SchemaName, "hfj_Project");
    assert.equal(one.PrimaryNameAttribute, "hfj_name");
    const columns = await api.retrieveAttributes({
      entityKey: "LogicalName='hfj_project'",
      select: ["LogicalName", "AttributeType"],
      filter: "LogicalName eq 'hfj_code'",
    });
    assert.deepEqual(columns.value.map((c) => c.AttributeType), ["String"]);
    const plain = await api.retrieveAttribute({
      entityKey: "LogicalName='hfj_project'",
      attributeKey: "LogicalName='hfj_code'",
    });
    assert.equal(plain.MetadataId, made.code);
    const cast = () =>
      api.retrieveAttribute({
        entityKey: "LogicalName='hfj_project'",
        attributeKey: "LogicalName='hfj_code'",
        castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
      });
    const text = await cast();
    assert.equal(text.MaxLength, 50);
    await api.updateAttribute({
      entityKey: "LogicalName='hfj_project'",
      castType: "Microsoft.Dynamics.CRM.StringAttributeMetadata",
      mergeLabels: true,
      data: { ...text, "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", MaxLength: 60 },
    });
    assert.equal((await cast()).MaxLength, 60);
    const csdl = await api.retrieveCsdlMetadata();
    assert.match(csdl, /<EntityType Name="hfj_project"/);
  },

  async rows_are_created_read_updated_and_deleted() {
    const account = await api.create({ collection: "accounts", data: { name: "Ærø Marine" } });
    made.account = account;
    const shown = await api.create({
      collection: "accounts",
      data: { name: "Bodø", revenue: 12.5 },
      select: ["name", "revenue"],
      returnRepresentation: true,
    });
    assert.equal(shown.revenue, 12.5);
    const row = await api.retrieve({ collection: "accounts", key: account, select: ["name"] });
    assert.equal(row.name, "Ærø Marine");
    const annotated = await api.retrieve({
      collection: "accounts",
      key: account,
      select: ["statecode"],
      includeAnnotations: "*",
    });
    assert.equal(annotated["statecode@OData.Community.Display.V1.FormattedValue"], "Active");
    const etag = row["@odata.etag"];
    const same = await api.retrieve({
      collection: "accounts",
      key: account,
      select: ["name"],
      ifnonematch: etag,
    }).catch((error) => error);
    assert.ok(same == null || same.status === 304, JSON.stringify(same));
    await api.update({ collection: "accounts", key: account, data: { telephone1: "47" } });
    const updated = await api.update({
      collection: "accounts",
      key: account,
      data: { fax: "48" },
      returnRepresentation: true,
      select: ["fax"],
    });
    assert.equal(updated.fax, "48");
    await status(412, strict.update({ collection: "accounts", key: account, ifmatch: etag, data: { fax: "1" } }));
    const fresh = (await api.retrieve({ collection: "accounts", key: account, select: ["name"] }))["@odata.etag"];
    await strict.update({ collection: "accounts", key: account, ifmatch: fresh, data: { fax: "2" } });
    await status(412, strict.deleteRecord({ collection: "accounts", key: account, ifmatch: etag }));
    const gone = "00000000-0000-4000-8000-00000000dead";
    await status(404, strict.update({ collection: "accounts", key: gone, data: { fax: "1" } }));
    await status(404, api.retrieve({ collection: "accounts", key: gone }));
    await api.deleteRecord({ collection: "accounts", key: shown.accountid });
    await status(404, api.retrieve({ collection: "accounts", key: shown.accountid }));
  },

  async upserts_make_or_change_and_can_be_told_to_make_only() {
    const id = "00000000-0000-4000-8000-0000000000aa";
    await api.upsert({ collection: "accounts", key: id, data: { name: "one" } });
    const changed = await api.upsert({
      collection: "accounts",
      key: id,
      data: { name: "two" },
      returnRepresentation: true,
      select: ["name"],
    });
    assert.equal(changed.name, "two");
    await status(412, strict.upsert({ collection: "accounts", key: id, ifnonematch: "*", data: { name: "three" } }));
  },

  async single_properties_and_references_are_written() {
    const contact = await api.create({ collection: "contacts", data: { lastname: "O'Neil" } });
    made.contact = contact;
    await api.updateSingleProperty({
      collection: "accounts",
      key: made.account,
      fieldValuePair: { telephone1: "4711" },
    });
    const row = await api.retrieve({ collection: "accounts", key: made.account, select: ["telephone1"] });
    assert.equal(row.telephone1, "4711");
    await api.deleteRecord({ collection: "accounts", key: made.account, property: "telephone1" });
    const name = await api.retrieve({ collection: "accounts", key: made.account, navigationProperty: "name" });
    assert.equal(name.value, "Ærø Marine");
    await api.associateSingleValued({
      collection: "accounts",
      primaryKey: made.account,
      navigationProperty: "primarycontactid",
      relatedCollection: "contacts",
      relatedKey: contact,
    });
    const expanded = await api.retrieve({
      collection: "accounts",
      key: made.account,
      select: ["name"],
      expand: [{ property: "primarycontactid", select: ["fullname"] }],
    });
    assert.equal(expanded.primarycontactid.fullname, "O'Neil");
    await api.disassociateSingleValued({
      collection: "accounts",
      primaryKey: made.account,
      navigationProperty: "primarycontactid",
    });
    await api.associate({
      collection: "accounts",
      primaryKey: made.account,
      relationshipName: "contact_customer_accounts",
      relatedCollection: "contacts",
      relatedKey: contact,
    });
    const parent = await api.retrieve({
      collection: "contacts",
      key: contact,
      navigationProperty: "parentcustomerid_account",
      select: ["name"],
    });
    assert.equal(parent.name, "Ærø Marine");
    await api.disassociate({
      collection: "accounts",
      primaryKey: made.account,
      relationshipName: "contact_customer_accounts",
      relatedKey: contact,
    });
    const alone = await api.retrieve({
      collection: "accounts",
      key: made.account,
      select: ["name"],
      expand: [{ property: "contact_customer_accounts", select: ["fullname"] }],
    });
    assert.deepEqual(alone.contact_customer_accounts, []);
  },

  async alternate_keys_name_rows() {
    for (const code of ["O'Neil", "P-1"]) {
      const key = `hfj_code='${code.replaceAll("'", "''")}'`;
      await api.upsert({ collection: "hfj_projects", key, data: { hfj_name: "made" } });
      await api.upsert({ collection: "hfj_projects", key, data: { hfj_name: "changed" } });
      const row = await api.retrieve({ collection: "hfj_projects", key, select: ["hfj_name", "hfj_code"] });
      assert.deepEqual([row.hfj_name, row.hfj_code], ["changed", code]);
      made.row = row.hfj_projectid;
    }
  },

  async rows_are_made_along_and_bound_by_key() {
    const project = await api.create({
      collection: "hfj_projects",
      data: {
        hfj_name: "deep",
        hfj_code: "D-1",
        hfj_AccountId: {
          name: "Made along",
          contact_customer_accounts: [{ lastname: "First" }, { lastname: "Second" }],
        },
      },
    });
    const row = await api.retrieve({
      collection: "hfj_projects",
      key: project,
      select: ["hfj_name"],
      expand: [{ property: "hfj_AccountId", select: ["accountid", "name"] }],
    });
    assert.equal(row.hfj_AccountId.name, "Made along");
    const account = row.hfj_AccountId.accountid;
    const contacts = { collection: "contacts", filter: `_parentcustomerid_value eq ${account}` };
    assert.equal(await api.count(contacts), 2);
    const bound = await api.create({
      collection: "hfj_projects",
      data: { hfj_name: "none", "hfj_AccountId@odata.bind": null },
    });
    await status(404, api.update({
      collection: "hfj_projects",
      key: bound,
      data: { "hfj_AccountId@odata.bind": "/accounts(00000000-0000-4000-8000-00000000dead)" },
    }));
    await status(400, api.update({
      collection: "hfj_projects",
      key: bound,
      data: { "hfj_accountid@odata.bind": `/accounts(${account})` },
    }));
    await api.deleteRecord({ collection: "accounts", key: account });
    assert.equal(await api.count(contacts), 0); // Cascade
    const alone = await api.retrieve({
      collection: "hfj_projects",
      key: project,
      select: ["_hfj_accountid_value"],
    });
    assert.equal(alone._hfj_accountid_value, null); // RemoveLink
  },

  async images_are_set_with_the_row_and_read_alone() {
    const image =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const key = await api.create({ collection: "accounts", data: { name: "Seen", entityimage: image } });
    const row = await api.retrieve({
      collection: "accounts",
      key,
      select: ["entityimage", "entityimage_url", "entityimage_timestamp"],
    });
    assert.ok(row.entityimage && row.entityimage_url && row.entityimage_timestamp);
    const full = await api.downloadFile({ collection: "accounts", key, property: "entityimage" });
    assert.equal(Buffer.from(full.data).toString("base64"), image);
    await api.update({ collection: "accounts", key, data: { entityimage: null } });
    const bare = await api.retrieve({ collection: "accounts", key, select: ["entityimage"] });
    assert.equal(bare.entityimage, null);
    await status(400, api.update({ collection: "accounts", key, data: { entityimage: "bm8=" } }));
  },

  async actions_and_functions_are_called() {
    const opened = (name) => api.create({ collection: "opportunities", data: { name } });
    for (const [actionName, state, reason] of [["WinOpportunity", 1, 3], ["LoseOpportunity", 2, 4]]) {
      const key = await opened(actionName);
      await api.callAction({
        actionName,
        action: {
          Status: reason,
          OpportunityClose: { subject: "closed", "opportunityid@odata.bind": `/opportunities(${key})` },
        },
      });
      const row = await api.retrieve({ collection: "opportunities", key, select: ["statecode", "statuscode"] });
      assert.deepEqual([row.statecode, row.statuscode], [state, reason]);
    }
    const incident = await api.create({
      collection: "incidents",
      data: { title: "Broken", "customerid_account@odata.bind": `/accounts(${made.account})` },
    });
    await api.callAction({
      actionName: "CloseIncident",
      action: {
        Status: 5,
        IncidentResolution: { subject: "mended", "incidentid@odata.bind": `/incidents(${incident})` },
      },
    });
    const lead = await api.create({ collection: "leads", data: { subject: "Buys", lastname: "Bø", companyname: "Bø AS" } });
    const qualified = await api.callAction({
      collection: "leads",
      key: lead,
      actionName: "Microsoft.Dynamics.CRM.QualifyLead",
      action: { CreateAccount: true, CreateContact: true, CreateOpportunity: true, Status: 3 },
    });
    assert.equal(qualified.value.length, 3);
    const queue = await api.create({ collection: "queues", data: { name: "Service" } });
    const task = await api.create({ collection: "tasks", data: { subject: "call" } });
    const added = await api.callAction({
      collection: "queues",
      key: queue,
      actionName: "Microsoft.Dynamics.CRM.AddToQueue",
      action: { Target: { activityid: task, "@odata.type": "Microsoft.Dynamics.CRM.task" } },
    });
    assert.ok(added.QueueItemId);
    const totals = await api.callFunction({
      name: "RetrieveTotalRecordCount",
      parameters: { EntityNames: ["incident", "queue"] },
    });
    assert.deepEqual(totals.EntityRecordCountCollection.Values, [1, 1]);
    const doubled = await api.callAction({ actionName: "new_Double", action: { Number: 21 } });
    assert.equal(doubled.Twice, 42);
  },

  async bulk_creates_return_ids_in_order() {
    const rows = [...Array(23).keys()].map((n) => ({
      "@odata.type": "Microsoft.Dynamics.CRM.account",
      name: `Bulk ${String(n).padStart(2, "0")}`,
      numberofemployees: n,
    }));
    const answer = await api.callAction({
      collection: "accounts",
      actionName: "Microsoft.Dynamics.CRM.CreateMultiple",
      action: { Targets: rows },
    });
    assert.equal(answer.Ids.length, 23);
    const last = await api.retrieve({ collection: "accounts", key: answer.Ids[22], select: ["name"] });
    assert.equal(last.name, "Bulk 22");
  },

  async queries_filter_order_page_and_count() {
    const first = await api.retrieveMultiple({
      collection: "accounts",
      select: ["name"],
      filter: "startswith(name,'Bulk')",
      orderBy: ["name desc"],
      top: 3,
      count: true,
    });
    assert.deepEqual(first.value.map((row) => row.name), ["Bulk 22", "Bulk 21", "Bulk 20"]);
    assert.equal(first.oDataCount, 23);
    for (const [size, pages] of [[5, 5], [4, 6]]) {
      const request = {
        collection: "accounts",
        select: ["name"],
        filter: "startswith(name,'Bulk')",
        orderBy: ["name"],
        maxPageSize: size,
      };
      const seen = [];
      let page = await api.retrieveMultiple(request);
      let count = 1;
      for (; page.oDataNextLink; count += 1) {
        seen.push(...page.value);
        page = await api.retrieveMultiple(request, page.oDataNextLink);
      }
      seen.push(...page.value);
      assert.equal(count, pages);
      assert.equal(new Set(seen.map((row) => row.name)).size, 23);
    }
    assert.equal(await api.count({ collection: "accounts", filter: "numberofemployees lt 10" }), 10);
    assert.ok((await api.count({ collection: "accounts" })) >= 24);
    const all = await api.retrieveAll({
      collection: "accounts",
      select: ["name"],
      filter: "contains(name,'ulk 1')",
    });
    assert.equal(all.value.length, 10);
    await status(400, api.retrieveMultiple({ collection: "accounts", filter: "nonsense eq 1" }));
    const related = await api.retrieveMultiple({
      collection: "accounts",
      select: ["name"],
      filter: "name eq 'Bulk 01'",
      expand: [{ property: "contact_customer_accounts", select: ["fullname"], top: 2 }],
    });
    assert.deepEqual(related.value[0].contact_customer_accounts, []);
    const groups = await api.retrieveMultiple({
      collection: "accounts",
      apply: "groupby((statecode),aggregate($count as number))",
    });
    assert.equal(groups.value[0].statecode, 0);
    const other = await api.retrieveMultiple({
      collection: "accounts",
      select: ["name"],
      top: 1,
      impersonate: made.user,
    });
    assert.equal(other.value.length, 1);
  },

  async a_long_query_arrives_as_a_batch() {
    const ids = [...Array(80).keys()].map((n) => `name eq 'Bulk ${n} ${"x".repeat(20)}'`);
    const found = await api.retrieveMultiple({
      collection: "accounts",
      select: ["name"],
      filter: [...ids, "name eq 'Bulk 07'"].join(" or "),
    });
    assert.deepEqual(found.value.map((row) => row.name), ["Bulk 07"]);
  },

  async fetchxml_pages_and_aggregates() {
    const fetchXml = `<fetch count="5"><entity name="account"><attribute name="name"/><order attribute="name"/>
      <filter><condition attribute="name" operator="like" value="Bulk%"/></filter></entity></fetch>`;
    const first = await api.fetch({ collection: "accounts", fetchXml, includeAnnotations: "*" });
    assert.equal(first.value.length, 5);
    const { cookie, nextPage } = first.PagingInfo;
    const second = await api.fetch({
      collection: "accounts",
      fetchXml,
      includeAnnotations: "*",
      pageNumber: nextPage,
      pagingCookie: cookie,
    });
    assert.equal(second.value[0].name, "Bulk 05");
    const all = await api.fetchAll({ collection: "accounts", fetchXml, includeAnnotations: "*" });
    assert.equal(all.value.length, 23);
    const sum = await api.fetch({
      collection: "accounts",
      fetchXml: `<fetch aggregate="true"><entity name="account">
        <attribute name="numberofemployees" alias="total" aggregate="sum"/></entity></fetch>`,
    });
    assert.equal(sum.value[0].total, 253);
  },

  async changes_are_tracked() {
    const request = { collection: "contacts", select: ["lastname"], trackChanges: true };
    const start = await api.retrieveMultiple(request);
    assert.ok(start.oDataDeltaLink);
    const added = await api.create({ collection: "contacts", data: { lastname: "Delta" } });
    const delta = await api.retrieveMultiple(request, start.oDataDeltaLink);
    assert.deepEqual(delta.value.map((row) => row.contactid), [added]);
    await api.deleteRecord({ collection: "contacts", key: added });
    const last = await api.retrieveMultiple(request, delta.oDataDeltaLink);
    assert.deepEqual(last.value.map((row) => [row.id, row.reason]), [[added, "deleted"]]);
  },

  async batches_carry_change_sets_and_references() {
    api.startBatch();
    api.create({ collection: "contacts", data: { lastname: "Batch" }, contentId: "1" });
    api.create({ collection: "accounts", data: { name: "In batch", "primarycontactid@odata.bind": "$1" } });
    const replies = await api.executeBatch();
    assert.equal(replies.length, 2);
    const [row] = (
      await api.retrieveMultiple({
        collection: "accounts",
        select: ["name"],
        filter: "name eq 'In batch'",
        expand: [{ property: "primarycontactid", select: ["lastname"] }],
      })
    ).value;
    assert.equal(row.primarycontactid.lastname, "Batch");
    api.startBatch();
    api.retrieveMultiple({ collection: "accounts", select: ["name"], top: 1 });
    api.retrieve({ collection: "accounts", key: "00000000-0000-4000-8000-00000000dead" });
    api.retrieveMultiple({ collection: "contacts", select: ["lastname"], top: 1 });
    const mixed = await api.executeBatch({ continueOnError: true });
    assert.equal(mixed.length, 3);
    assert.equal(mixed[1].status, 404, JSON.stringify(mixed[1]));
    assert.equal(mixed[2].value.length, 1);
    api.startBatch();
    api.create({ collection: "accounts", data: { name: "undone" } });
    api.create({ collection: "accounts", data: { name: "x".repeat(300) } });
    await status(400, api.executeBatch());
    assert.equal(await api.count({ collection: "accounts", filter: "name eq 'undone'" }), 0);
  },

  async files_are_uploaded_and_downloaded_in_chunks() {
    const bytes = Buffer.alloc(5 * 1024 * 1024, "holdfast ");
    await api.uploadFile({
      collection: "hfj_projects",
      key: made.row,
      property: "hfj_doc",
      fileName: "Årsrapport.txt",
      data: bytes,
    });
    const file = await api.downloadFile({ collection: "hfj_projects", key: made.row, property: "hfj_doc" });
    assert.equal(decodeURIComponent(file.fileName), "Årsrapport.txt"); // a header is ASCII
    assert.equal(file.fileSize, bytes.length);
    assert.ok(Buffer.from(file.data).equals(bytes));
    await api.deleteRecord({ collection: "hfj_projects", key: made.row, property: "hfj_doc" });
    const row = await api.retrieve({ collection: "hfj_projects", key: made.row, select: ["hfj_doc"] });
    assert.equal(row.hfj_doc, null);
  },

  async what_was_made_is_dropped_again() {
    await api.deleteRelationship({ key: made.relationship });
    await api.deleteRecord({ collection: "EntityDefinitions", key: made.project });
    await api.deleteRecord({ collection: "EntityDefinitions", key: made.tag });
    await status(404, api.retrieveEntity({ key: "LogicalName='hfj_project'", select: ["SchemaName"] }));
    await status(404, api.retrieveEntity({ key: "LogicalName='hfj_project'" }));
  },
};

// The convenience wrappers turn a 404 or 412 into false; this one tells.
const strict = new DynamicsWebApi({
  serverUrl: url,
  dataApi: { version: "9.2" },
  onTokenRefresh: async () => token,
  propagateErrors: true,
});

for (const [name, act] of Object.entries(scenarios)) {
  let error = null;
  try {
    await act();
  } catch (caught) {
    error = `${caught.stack ?? caught.message ?? JSON.stringify(caught)}`;
  }
  console.log(JSON.stringify({ name, error }));
}
